#include "preprocess/window.h"

#include <algorithm>
#include <cmath>

namespace mnv2 {
namespace {

AxisWindow whole_axis(int in, std::int64_t out) {
  return {.in = in, .length = static_cast<double>(in), .out = out};
}

/// The middle `crop` pixels. Half of an odd margin is rounded to even (torchvision), or down.
AxisWindow centred(AxisWindow window, int crop, ResizeForm form) {
  if (window.out < crop) {
    const std::int64_t missing = crop - window.out;
    window.count = static_cast<int>(window.out);
    // Rounding the margin, which is negative here, down makes more of the padding come first.
    window.pad = static_cast<int>((missing + (form == ResizeForm::crop_floor ? 1 : 0)) / 2);
    return window;
  }
  window.count = crop;
  const std::int64_t margin = window.out - crop;
  window.first = margin / 2;
  if (form == ResizeForm::crop && margin % 2 != 0) window.first += window.first % 2;
  return window;
}

/// The middle `length` pixels of the axis, resized to `out`. Pillow takes the edges of its box as 32-bit floats.
AxisWindow fitted(int in, int length, int out) {
  const double begin = (in - length) / 2.0;
  const float box_begin = static_cast<float>(begin);
  const float box_end = static_cast<float>(begin + length);
  return {.in = in, .begin = box_begin, .length = box_end - box_begin, .out = out, .count = out};
}

}  // namespace

bool AxisWindow::is_resized() const {
  return length != static_cast<double>(out) || begin != std::floor(begin);
}

CropWindow crop_window(int width, int height, const Preprocessing& preprocessing) {
  const int short_side = std::min(width, height);
  const auto axis = [&](int side) {
    switch (preprocessing.form) {
      case ResizeForm::crop:
      case ResizeForm::crop_floor: {
        const std::int64_t out = std::int64_t{preprocessing.resize} * side / short_side;
        return centred(whole_axis(side, out), preprocessing.crop, preprocessing.form);
      }
      case ResizeForm::fit: return fitted(side, short_side, preprocessing.crop);
      case ResizeForm::squash:
      case ResizeForm::squash_half_pixel:
      case ResizeForm::squash_align_corners: break;
    }
    AxisWindow window = whole_axis(side, preprocessing.crop);
    window.count = preprocessing.crop;
    return window;
  };
  return {.x = axis(width), .y = axis(height)};
}

}  // namespace mnv2
