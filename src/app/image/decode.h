// From an image file's bytes to upright 8-bit pixels, or one clear error. The way in to this room, which is
// the only one that knows OpenCV.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "app/image/header.h"
#include "mnv2/preprocess.h"

namespace mnv2::image {

struct DecodeOptions {
  ImageLimits limits = {};
  bool apply_orientation = true;  ///< Turn the image upright as its EXIF data say.
  /// Told what decoding is going to take at most, as far as the header tells, before it is taken; may wait.
  std::function<void(std::int64_t bytes)> before_decoding = {};
};

struct DecodedImage {
  ImageView
      view;  ///< Upright, BGR; valid as long as `pixels` or a copy of it. Smaller than the image when reduced.
  int width = 0;  ///< Of the image in the file, upright.
  int height = 0;
  std::shared_ptr<const void> pixels;
  Format format = Format::jpeg;
  int orientation = 1;  ///< The EXIF orientation that was applied, 1..8; 1: nothing was changed.
  /// Damage that the decoder got past: "libjpeg: Corrupt JPEG data: ...".
  std::vector<std::string> warnings;
};

/// Call once, before the first thread decodes: OpenCV starts no threads of its own and prints nothing.
void init_decoder();

/// Checks the header, then decodes; alpha is dropped, colour profiles are ignored, 16-bit samples lose their
/// low byte. The pixels equal Pillow's `convert("RGB")`, except in CMYK files (within 2 levels), 16-bit grey
/// ones (which Pillow clips), and palette indexes out of range. Thread-safe.
/// @throws Error{unsupported_format, damaged_image, image_too_large, out_of_memory}
DecodedImage decode_image(std::span<const std::uint8_t> bytes, const DecodeOptions& options = {});

}  // namespace mnv2::image
