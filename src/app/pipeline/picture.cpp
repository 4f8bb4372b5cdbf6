#include "app/pipeline/picture.h"

#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

#include "app/base/stopwatch.h"
#include "app/image/read_file.h"

namespace mnv2::app {

void Picture::drop_pixels() noexcept {
  decoded.pixels.reset();
  memory.give_back();
}

namespace {

/// With less, the resize has too few pixels to choose from: of 12-megapixel photos more classes change.
constexpr int kFastFactor = 2;

}  // namespace

Picture load_picture(const std::string& path, const PicturePlan& plan, int short_side, ImageMemory& memory) {
  Stopwatch stopwatch;
  MemoryBudget::Part file_part;
  const std::vector<std::uint8_t> bytes = image::read_file(
      path, image::kMaxFileBytes, [&](std::int64_t size) { file_part.take(memory.files, size); });
  const double read_ms = stopwatch.lap_ms();
  Picture picture = decode_picture(bytes, plan, short_side, memory);
  picture.read_ms = read_ms;
  return picture;
}

Picture decode_picture(std::span<const std::uint8_t> bytes, const PicturePlan& plan, int short_side,
                       ImageMemory& memory) {
  Picture picture;
  Stopwatch stopwatch;
  picture.decoded = image::decode_image(
      bytes, {.limits = {.max_pixels = plan.max_pixels,
                         .least_short_side = plan.fast ? kFastFactor * short_side : 0},
              .apply_orientation = plan.apply_exif,
              .before_decoding = [&](std::int64_t size) { picture.memory.take(memory.pixels, size); }});
  picture.decode_ms = stopwatch.lap_ms();
  return picture;
}

EarlyPicture::EarlyPicture(std::string path, const PicturePlan& plan) : path_(std::move(path)), plan_(plan) {
  try {
    picture_ = std::async(std::launch::async, [this] { return load_picture(path_, plan_, 0, memory_); });
  } catch (const std::system_error&) {
    // No thread: the picture is loaded when its turn comes.
  }
}

std::optional<Picture> EarlyPicture::take(const std::string& path) {
  if (!picture_.valid() || path != path_) return std::nullopt;
  return picture_.get();
}

}  // namespace mnv2::app
