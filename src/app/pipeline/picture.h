// From a path to pixels, for one image at a time.
#pragma once

#include <cstdint>
#include <future>
#include <optional>
#include <span>
#include <string>

#include "app/image/decode.h"
#include "app/pipeline/memory_budget.h"

namespace mnv2::app {

/// What is taken for a picture, and how.
struct PicturePlan {
  bool apply_exif = true;
  std::int64_t max_pixels = image::ImageLimits{}.max_pixels;
  /// Large JPEGs are decoded at 1/2, 1/4 or 1/8 of their size, as long as that leaves kFastFactor times what the resize
  /// keeps.
  bool fast = false;
};

struct Picture {
  image::DecodedImage decoded;
  MemoryBudget::Part memory;  // what the pixels take of the run's
  double read_ms = 0;
  double decode_ms = 0;

  /// Gives the pixels' memory back.
  void drop_pixels() noexcept;
};

/// Reads and decodes an image file as `plan` has it; may wait for its part of `memory`, which must outlive
/// the picture.
/// @param short_side of the image after the resize, pixels; 0 where it is not known: then nothing is fast.
/// @throws Error, std::bad_alloc
Picture load_picture(const std::string& path, const PicturePlan& plan, int short_side, ImageMemory& memory);

/// The same of a file's bytes.
Picture decode_picture(std::span<const std::uint8_t> bytes, const PicturePlan& plan, int short_side,
                       ImageMemory& memory);

/// The picture of a run's only image, loaded by a thread of its own while the model is loaded.
class EarlyPicture {
 public:
  /// Starts at once. When the system refuses the thread, there is no early picture.
  EarlyPicture(std::string path, const PicturePlan& plan);

  /// Waits for the picture, when it is that of `path`; it can be taken once. Must outlive what it gives.
  /// @throws as load_picture
  std::optional<Picture> take(const std::string& path);

 private:
  ImageMemory memory_{1};
  std::string path_;
  PicturePlan plan_;
  std::future<Picture> picture_;  // ends before what the thread works with
};

}  // namespace mnv2::app
