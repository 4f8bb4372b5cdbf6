#include "preprocess/bilinear.h"

#include <algorithm>
#include <cmath>

#include "preprocess/pick_pixels.h"

namespace mnv2 {
namespace {

constexpr int kPixelBytes = 3;
constexpr int kReadAhead = 4;  // bytes after the last pixel that a kernel may read

/// Where pixel x of `window` lies on the source's axis: 0 is the middle of its first pixel.
double source_position(const AxisWindow& window, std::int64_t x, ResizeForm form) {
  if (form == ResizeForm::squash_half_pixel) {
    const double position =
        static_cast<double>((2 * x + 1) * window.in) / static_cast<double>(2 * window.out);
    return std::clamp(position - 0.5, 0.0, static_cast<double>(window.in - 1));
  }
  if (window.out == 1) return 0;
  return static_cast<double>(x * (window.in - 1)) / static_cast<double>(window.out - 1);
}

/// The neighbours of all pixels of `window`, each source pixel `unit` long.
void find_neighbours(const AxisWindow& window, ResizeForm form, std::int32_t unit, Neighbours& neighbours) {
  neighbours.first.resize(window.count);
  neighbours.second.resize(window.count);
  neighbours.weights.resize(window.count);
  for (int i = 0; i < window.count; ++i) {
    const double position = source_position(window, window.first + i, form);
    const auto first = static_cast<std::int32_t>(position);
    neighbours.first[i] = unit * first;
    neighbours.second[i] = unit * std::min(first + 1, window.in - 1);
    neighbours.weights[i] = static_cast<float>(position - first);
  }
}

}  // namespace

void BilinearRows::start(const ImageView& image, const CropWindow& window, ResizeForm form,
                         const kernels::ResizeKernels& kernels) {
  image_ = image;
  kernels_ = kernels;
  find_neighbours(window.x, form, kPixelBytes, columns_);
  find_neighbours(window.y, form, 1, rows_);
  const std::size_t bytes = std::size_t{kPixelBytes} * window.x.count + kReadAhead;
  for (Picked& picked : picked_) {
    picked.row = -1;
    picked.first.resize(bytes);
    picked.second.resize(bytes);
  }
}

const BilinearRows::Picked& BilinearRows::pick(int row) {
  Picked& picked = picked_[row % 2];
  if (picked.row == row) return picked;
  const std::uint8_t* source = image_.data + image_.row_bytes * row;
  pick_pixels(source, columns_.first, picked.first.data());
  pick_pixels(source, columns_.second, picked.second.data());
  picked.row = row;
  return picked;
}

void BilinearRows::row(int y, const kernels::Affine& affine, const std::array<float*, 3>& out) {
  const Picked& upper = pick(rows_.first[y]);
  const Picked& lower = pick(rows_.second[y]);
  kernels_.bilinear({.upper = {upper.first.data(), upper.second.data()},
                     .lower = {lower.first.data(), lower.second.data()},
                     .x_weights = columns_.weights.data(),
                     .y_weight = rows_.weights[y],
                     .out = {out[0], out[1], out[2]},
                     .count = static_cast<int>(columns_.weights.size()),
                     .affine = &affine});
}

}  // namespace mnv2
