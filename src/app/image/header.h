// The header check: what an image file claims to be, found by walking its markers or chunks, before any
// decoder runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace mnv2::image {

enum class Format { jpeg, png, webp };

enum class Color { grey, grey_alpha, rgb, rgb_alpha, palette, cmyk };

/// What one image may cost. A file of some hundred bytes can claim gigabytes of pixels or hours of scans.
struct ImageLimits {
  std::int64_t max_pixels = 178'956'970;  ///< Pillow's decompression bomb limit: 2 GiB / 4 / 3.
  int max_scans = 500;                    ///< JPEG scans; each one may touch every coefficient of the image.
  /// 0, or how many pixels the short side must keep: then a JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that
  /// leaves as many, and `max_pixels` counts what is decoded.
  int least_short_side = 0;
};

/// Where a file goes wrong whose image data may be all there.
struct OddEnd {
  std::size_t at = 0;     ///< Of a JPEG: where the image data end and what is odd, or needless, begins.
  std::string what = {};  ///< As an error would say it.
};

struct Header {
  Format format = Format::jpeg;
  int width = 0;   ///< As stored, before EXIF orientation.
  int height = 0;  ///< As stored, before EXIF orientation.
  Color color = Color::rgb;
  int bit_depth = 8;         ///< Bits a sample: 8 for JPEG; 1, 2, 4, 8 or 16 for PNG.
  int orientation = 1;       ///< EXIF orientation, 1..8; 1 where there is none or it makes no sense.
  int reduction = 1;         ///< 1, 2, 4 or 8: the part of the JPEG's sides that is decoded, see ImageLimits.
  bool progressive = false;  ///< Progressive JPEG or interlaced PNG.
  int scans = 1;             ///< JPEG scans; 1 for PNG.
  /// Set where something is wrong after the image data or at their end; only decoding them tells whether the picture is
  /// whole.
  std::optional<OddEnd> odd_end = {};
};

/// How many bytes begins_as_image() wants to see.
constexpr std::size_t kSignatureBytes = 12;

/// Whether a file that starts with `bytes` claims to be a JPEG, PNG or WebP image.
bool begins_as_image(std::span<const std::uint8_t> bytes) noexcept;

/// Whether `bytes`, the first of a file, do not rule out yet that it begins so.
bool may_begin_image(std::span<const std::uint8_t> bytes) noexcept;

/// Walks the whole file in linear time and allocates nothing in proportion to what the file claims. Formats
/// are told by their first bytes. Data after the end of the image is allowed.
/// @throws Error{unsupported_format} when it is neither JPEG, PNG nor WebP, or a kind of them that no common
/// decoder reads
/// @throws Error{damaged_image} when it ends before the image data or breaks a rule there that makes libjpeg and libpng
/// give up; see Header::odd_end for what comes later
/// @throws Error{image_too_large} above `limits`
Header read_header(std::span<const std::uint8_t> bytes, const ImageLimits& limits = {});

}  // namespace mnv2::image
