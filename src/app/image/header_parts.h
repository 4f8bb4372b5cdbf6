// The header check's parts, for header.cpp only: one walker per format, and what they share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "app/image/header.h"

namespace mnv2::image {

using Bytes = std::span<const std::uint8_t>;

/// `bytes` starts with FF D8 FF.
Header read_jpeg_header(Bytes bytes, const ImageLimits& limits);

/// `bytes` starts with PNG's signature of 8 bytes.
Header read_png_header(Bytes bytes, const ImageLimits& limits);

/// EXIF tag 0x0112 of the first directory of a TIFF structure (with or without "Exif\0\0" before it): 1..8,
/// and 1 for anything that cannot be read: a broken EXIF block does not make the picture wrong.
int exif_orientation(Bytes exif) noexcept;

/// @throws Error{image_too_large}
void check_pixels(std::int64_t width, std::int64_t height, const ImageLimits& limits);

inline std::uint32_t big_endian_16(Bytes bytes, std::size_t at) { return bytes[at] << 8 | bytes[at + 1]; }

inline std::uint32_t big_endian_32(Bytes bytes, std::size_t at) {
  return big_endian_16(bytes, at) << 16 | big_endian_16(bytes, at + 2);
}

}  // namespace mnv2::image
