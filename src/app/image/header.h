// The header check: what an image file claims to be, found by walking its markers or chunks, before any
// decoder runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mnv2::image {

enum class Format { jpeg, png };

enum class Color { grey, grey_alpha, rgb, rgb_alpha, palette, cmyk };

/// What one image may cost. A file of some hundred bytes can claim gigabytes of pixels or hours of scans.
struct ImageLimits {
  std::int64_t max_pixels = 178'956'970;  ///< Pillow's decompression bomb limit: 2 GiB / 4 / 3.
  int max_scans = 500;                    ///< JPEG scans; each one may touch every coefficient of the image.
};

struct Header {
  Format format = Format::jpeg;
  int width = 0;   ///< As stored, before EXIF orientation.
  int height = 0;  ///< As stored, before EXIF orientation.
  Color color = Color::rgb;
  int bit_depth = 8;         ///< Bits a sample: 8 for JPEG; 1, 2, 4, 8 or 16 for PNG.
  int orientation = 1;       ///< EXIF orientation, 1..8; 1 where there is none or it makes no sense.
  bool progressive = false;  ///< Progressive JPEG or interlaced PNG.
  int scans = 1;             ///< JPEG scans; 1 for PNG.
};

/// How many bytes begins_as_image() wants to see.
constexpr std::size_t kSignatureBytes = 8;

/// Whether a file that starts with `bytes` claims to be a JPEG or PNG image.
bool begins_as_image(std::span<const std::uint8_t> bytes) noexcept;

/// Walks the whole file in linear time and allocates nothing in proportion to what the file claims. Formats
/// are told by their first bytes. Data after the end of the image is allowed.
/// @throws Error{unsupported_format} when it is neither JPEG nor PNG, or a kind of them that no common
/// decoder reads
/// @throws Error{damaged_image} when it ends early, or breaks a rule that makes libjpeg and libpng give up
/// @throws Error{image_too_large} above `limits`
Header read_header(std::span<const std::uint8_t> bytes, const ImageLimits& limits = {});

}  // namespace mnv2::image
