#include "preprocess/resample.h"

#include <algorithm>
#include <cstring>

namespace mnv2 {
namespace {

constexpr int kPixelBytes = 3;
// What a block of the horizontal pass reads, and how far the next one lies from it: four pixels.
constexpr int kBlockBytes = 16;
constexpr int kBlockStep = 12;

template <typename Int>
Int round_up(Int n, Int multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

}  // namespace

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
  next_row_ = resizes_y() ? vertical_.begin(0) : y.first_source();
  end_row_ = resizes_y() ? vertical_.end(y.count - 1) : y.first_source() + y.count;
  // A pass may make rows that only the next rows of the window need, at most `rows` - 1 of them.
  ring_rows_ = (resizes_y() ? vertical_.max_taps() : 1) + kernels_.rows;
  row_bytes_ = round_up<std::ptrdiff_t>(kPixelBytes * round_up(window_.x.count, 4) + 4, Resampler::kSlack);
  check_resize_bytes(row_bytes_ * ring_rows_, y);
  const std::size_t bytes = static_cast<std::size_t>(row_bytes_) * ring_rows_;
  if (ring_.size() < bytes) ring_ = Buffer(bytes);
}

void Resampler::row(int y, std::uint8_t* out) {
  const int row_bytes = kPixelBytes * window_.x.count;
  if (!resizes_y()) {
    const int row = window_.y.first_source() + y;
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
      std::memcpy(out[i], rows[i] + kPixelBytes * std::ptrdiff_t{window_.x.first_source()},
                  kPixelBytes * window_.x.count);
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
