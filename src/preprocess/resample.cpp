#include "preprocess/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace mnv2 {
namespace {

constexpr int kWeightBits = 22;
constexpr int kLowBits = 11;
constexpr int kPixelBytes = 3;
// What a block of the horizontal pass reads, and how far the next one lies from it: four pixels.
constexpr int kBlockBytes = 16;
constexpr int kBlockStep = 12;

template <typename Int>
Int round_up(Int n, Int multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

AxisWindow axis_window(int in, std::int64_t out, int crop) {
  AxisWindow window{.in = in, .out = out};
  if (out < crop) {
    window.count = static_cast<int>(out);
    window.pad = static_cast<int>((crop - out) / 2);
    return window;
  }
  window.count = crop;
  // Half of an odd margin is rounded to even.
  const std::int64_t margin = out - crop;
  window.first = margin / 2;
  if (margin % 2 != 0) window.first += window.first % 2;
  return window;
}

/// A triangle of radius 1.
double bilinear(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

/// Keys' cubic (1981) of radius 2 with a = -0.5, in Pillow's form.
double bicubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0.0;
}

/// Pillow's arithmetic, operation by operation: every rounding counts.
struct Sampling {
  Sampling(const AxisWindow& window, Interpolation interpolation)
      : filter(interpolation == Interpolation::bicubic ? bicubic : bilinear),
        scale(static_cast<double>(window.in) / static_cast<double>(window.out)),
        support((interpolation == Interpolation::bicubic ? 2.0 : 1.0) * std::max(scale, 1.0)),
        inverse_scale(1.0 / std::max(scale, 1.0)) {}

  double center(std::int64_t x) const { return (static_cast<double>(x) + 0.5) * scale; }
  double weight(int tap, double center_x) const { return filter((tap - center_x + 0.5) * inverse_scale); }
  static int fixed_point(double weight) {
    return static_cast<int>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kWeightBits));
  }

  double (*filter)(double x);
  double scale;
  double support;
  double inverse_scale;  // of a reduction; 1 for an enlargement
};

}  // namespace

CropWindow crop_window(int width, int height, int resize, int crop) {
  const std::int64_t short_side = std::min(width, height);
  const auto resized = [&](int side) { return std::int64_t{resize} * side / short_side; };
  return {.x = axis_window(width, resized(width), crop), .y = axis_window(height, resized(height), crop)};
}

void Filter::build(const AxisWindow& window, Interpolation interpolation) {
  if (window == window_ && interpolation == interpolation_) return;
  window_ = {};  // should an allocation fail, nothing is taken for built

  const Sampling sampling(window, interpolation);
  const int pixels = round_up(window.count, pixel_multiple_);
  taps_.resize(pixels);
  max_taps_ = 0;
  for (int i = 0; i < window.count; ++i) {
    const double center = sampling.center(window.first + i);
    const int begin = std::max(0, static_cast<int>(center - sampling.support + 0.5));
    const int end = std::min(window.in, static_cast<int>(center + sampling.support + 0.5));
    taps_[i] = {begin, end};
    max_taps_ = std::max(max_taps_, end - begin);
  }
  std::fill(taps_.begin() + window.count, taps_.end(), taps_[window.count - 1]);

  pairs_ = round_up((max_taps_ + 1) / 2, pair_multiple_);
  weights_.assign(std::size_t{4} * pairs_ * pixels, 0);
  exact_.resize(max_taps_);
  for (int i = 0; i < window.count; ++i) {
    const auto [begin, end] = taps_[i];
    const double center = sampling.center(window.first + i);
    double sum = 0.0;
    for (int tap = begin; tap < end; ++tap) sum += exact_[tap - begin] = sampling.weight(tap, center);
    std::int16_t* out = weights_.data() + std::size_t{4} * pairs_ * i;
    for (int t = 0; t < end - begin; ++t) {
      const int fixed = Sampling::fixed_point(exact_[t] / sum);
      std::int16_t* pair = out + t / 2 * 4 + t % 2;
      pair[0] = static_cast<std::int16_t>(fixed >> kLowBits);  // rounds down, so that the rest is positive
      pair[2] = static_cast<std::int16_t>(fixed & ((1 << kLowBits) - 1));
    }
  }
  window_ = window;
  interpolation_ = interpolation;
}

void Resampler::start(const ImageView& image, const CropWindow& window, Interpolation interpolation,
                      const kernels::ResizeKernels& kernels) {
  image_ = image;
  window_ = window;
  kernels_ = kernels;
  if (resizes_x()) prepare_horizontal(interpolation);
  if (resizes_y()) vertical_.build(window_.y, interpolation);
  prepare_ring();
}

void Resampler::prepare_horizontal(Interpolation interpolation) {
  horizontal_.build(window_.x, interpolation);
  const int pixels = horizontal_.pixels();
  starts_.resize(pixels);
  for (int x = 0; x < pixels; ++x) starts_[x] = kPixelBytes * horizontal_.begin(x);

  // Begins never decrease, so the pixels that read past the end of a row are the last ones.
  const int blocks = horizontal_.pairs() / kPairsPerBlock;
  const std::int64_t reach = std::int64_t{kBlockStep} * (blocks - 1) + kBlockBytes;
  const std::int64_t source_bytes = std::int64_t{kPixelBytes} * window_.x.in;
  tail_ = 0;
  while (tail_ < pixels && starts_[tail_ + 3] + reach <= source_bytes) tail_ += 4;
  if (tail_ == pixels) return;
  tail_first_ = horizontal_.begin(tail_);
  for (int x = tail_; x < pixels; ++x) starts_[x] -= kPixelBytes * tail_first_;
  tail_bytes_ = starts_.back() + reach;
  tails_.assign(kernels_.rows * tail_bytes_, 0);
}

void Resampler::prepare_ring() {
  const auto& y = window_.y;
  next_row_ = resizes_y() ? vertical_.begin(0) : static_cast<int>(y.first);
  end_row_ = resizes_y() ? vertical_.end(y.count - 1) : static_cast<int>(y.first) + y.count;
  // A pass may make rows that only the next rows of the window need, at most `rows` - 1 of them.
  ring_rows_ = (resizes_y() ? vertical_.max_taps() : 1) + kernels_.rows;
  row_bytes_ = round_up<std::ptrdiff_t>(kPixelBytes * round_up(window_.x.count, 4) + 4, Resampler::kSlack);
  const std::size_t bytes = static_cast<std::size_t>(row_bytes_) * ring_rows_;
  if (ring_.size() < bytes) ring_ = Buffer(bytes);
}

void Resampler::row(int y, std::uint8_t* out) {
  const int row_bytes = kPixelBytes * window_.x.count;
  if (!resizes_y()) {
    const int row = static_cast<int>(window_.y.first) + y;
    fill_ring(row + 1);
    std::memcpy(out, slot(row), row_bytes);
    return;
  }
  const int begin = vertical_.begin(y);
  const int end = vertical_.end(y);
  fill_ring(end);
  const int pairs = (end - begin + 1) / 2;
  taps_.resize(2 * pairs);
  for (int t = 0; t < 2 * pairs; ++t) taps_[t] = slot(std::min(begin + t, end - 1));
  kernels_.vertical({.rows = taps_.data(),
                     .weights = vertical_.weights(y),
                     .pairs = pairs,
                     .out = out,
                     .bytes = round_up(row_bytes, kSlack)});
}

void Resampler::fill_ring(int end_row) {
  while (next_row_ < end_row) {
    Rows rows;
    Rows next_rows;
    OutRows out;
    for (int i = 0; i < kernels_.rows; ++i) {
      const int row = std::min(next_row_ + i, end_row_ - 1);  // at the end, the last row several times
      rows[i] = source(row);
      next_rows[i] = source(std::min(row + kernels_.rows, end_row_ - 1));
      out[i] = slot(row);
    }
    resize_rows(rows, next_rows, out);
    next_row_ = std::min(next_row_ + kernels_.rows, end_row_);
  }
}

void Resampler::resize_rows(const Rows& rows, const Rows& next_rows, const OutRows& out) {
  if (!resizes_x()) {
    for (int i = 0; i < kernels_.rows; ++i)
      std::memcpy(out[i], rows[i] + kPixelBytes * window_.x.first, kPixelBytes * window_.x.count);
    return;
  }
  kernels::HorizontalPass pass{.rows = rows.data(),
                               .next_rows = next_rows.data(),
                               .out = out.data(),
                               .starts = starts_.data(),
                               .weights = horizontal_.weights(0),
                               .pixels = tail_,
                               .blocks = horizontal_.pairs() / kPairsPerBlock};
  kernels_.horizontal(pass);
  if (tail_ == horizontal_.pixels()) return;

  Rows tail_rows;
  OutRows tail_out;
  for (int i = 0; i < kernels_.rows; ++i) {
    std::uint8_t* copy = tails_.data() + tail_bytes_ * i;
    std::memcpy(copy, rows[i] + std::ptrdiff_t{kPixelBytes} * tail_first_,
                std::size_t{kPixelBytes} * (window_.x.in - tail_first_));
    tail_rows[i] = copy;
    tail_out[i] = out[i] + kPixelBytes * tail_;
  }
  pass.rows = pass.next_rows = tail_rows.data();
  pass.out = tail_out.data();
  pass.starts += tail_;
  pass.weights = horizontal_.weights(tail_);
  pass.pixels = horizontal_.pixels() - tail_;
  kernels_.horizontal(pass);
}

}  // namespace mnv2
