// The header check's parts, for header.cpp only: one walker per format, and what they share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "app/image/header.h"

namespace mnv2::image {

using Bytes = std::span<const std::uint8_t>;

/// `bytes` starts with FF D8 FF.
Header read_jpeg_header(Bytes bytes, const ImageLimits& limits);

/// `bytes` starts with "RIFF", four bytes, "WEBP".
Header read_webp_header(Bytes bytes, const ImageLimits& limits);

/// `bytes` starts with PNG's signature of 8 bytes.
Header read_png_header(Bytes bytes, const ImageLimits& limits);

/// EXIF tag 0x0112 of the first directory of a TIFF structure (with or without "Exif\0\0" before it), as Pillow reads it:
/// the first value of any type of number, of several such tags the last that can be read. 1..8, and 1 for a value that
/// makes no sense; nothing where there is none: a broken EXIF block does not make the picture wrong.
std::optional<int> exif_orientation(Bytes exif) noexcept;

/// The orientation that a PNG's texts tell, as ImageMagick ("Raw profile type exif") and Adobe's programs (XMP) write it.
class PngTexts {
 public:
  /// Takes a tEXt, zTXt or iTXt chunk; others, and what cannot be understood, are no texts.
  void read(std::string_view type, Bytes data);

  /// Of a raw profile, a TIFF structure in hexadecimal digits.
  const std::optional<int>& exif_orientation() const { return exif_orientation_; }
  const std::optional<int>& xmp_orientation() const { return xmp_orientation_; }

 private:
  std::optional<int> exif_orientation_;
  std::optional<int> xmp_orientation_;
  int texts_ = 0;  // of these two kinds
};

/// @throws Error{image_too_large}
void check_pixels(std::int64_t width, std::int64_t height, const ImageLimits& limits);

inline std::uint32_t big_endian_16(Bytes bytes, std::size_t at) { return bytes[at] << 8 | bytes[at + 1]; }

inline std::uint32_t big_endian_32(Bytes bytes, std::size_t at) {
  return big_endian_16(bytes, at) << 16 | big_endian_16(bytes, at + 2);
}

}  // namespace mnv2::image
