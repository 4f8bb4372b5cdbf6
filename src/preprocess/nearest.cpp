#include "preprocess/nearest.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "preprocess/pick_pixels.h"

namespace mnv2 {
namespace {

/// The source pixels of a window, each `unit` long. Pillow adds the scale up pixel after pixel, and the rounding of
/// every sum may decide which pixel is the nearest.
void find_pixels(const AxisWindow& window, std::int32_t unit, std::vector<std::int32_t>& pixels) {
  const double scale = window.length / static_cast<double>(window.out);
  double position = add_repeatedly(window.begin + scale * 0.5, scale, window.first);
  pixels.resize(window.count);
  for (std::int32_t& pixel : pixels) {
    assert(position >= 0 && position < window.in);
    pixel = unit * static_cast<std::int32_t>(position);
    position += scale;
  }
}

}  // namespace

double add_repeatedly(double position, double step, std::int64_t steps) {
  for (; steps > 0; --steps) {
    const double before = position;
    position += step;
    // Between two powers of two all numbers are as far apart, so every sum is rounded by as much. Only where the step
    // ends in the middle between two of them, the first sum makes the number even, and the others differ from it.
    if (std::ilogb(before) != std::ilogb(position + step)) continue;
    const double increment = position + step - position;
    const double limit = std::ldexp(1.0, std::ilogb(position) + 1);
    const double room = (limit - position) / increment - 1;
    const std::int64_t alike = std::min(steps - 1, static_cast<std::int64_t>(std::max(room, 0.0)));
    position += static_cast<double>(alike) * increment;  // exact: the sums' own digits
    steps -= alike;
  }
  return position;
}

void NearestRows::start(const ImageView& image, const CropWindow& window) {
  constexpr int kPixelBytes = 3;
  image_ = image;
  find_pixels(window.x, kPixelBytes, columns_);
  find_pixels(window.y, 1, rows_);
}

void NearestRows::row(int y, std::uint8_t* out) const {
  pick_pixels(image_.data + image_.row_bytes * rows_[y], columns_, out);
}

}  // namespace mnv2
