// Pillow's 8-bit antialiased resize (its src/libImaging/Resample.c), of which only a window is computed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "kernels/pixels/resize.h"
#include "mnv2/preprocess.h"
#include "preprocess/filter.h"
#include "preprocess/window.h"

namespace mnv2 {

/// Makes the rows of a window one after the other, top to bottom. Source rows go through the horizontal pass
/// when they are first needed and wait in a ring for the vertical one, so memory depends on the window and
/// the filters only.
class Resampler {
 public:
  /// Of `image` nothing is read but the pixels of the rows that the window needs; they must stay until the
  /// last row().
  /// @param interpolation not nearest.
  /// @throws Error{image_too_large} when a filter or the rows that wait would need more than kMaxResizeBytes.
  void start(const ImageView& image, const CropWindow& window, Interpolation interpolation,
             const kernels::ResizeKernels& kernels);

  /// Row y of the window, counted from 0; y must not decrease. The channels keep the image's order.
  /// out: [window.x.count][3]; up to kSlack bytes after that are overwritten.
  void row(int y, std::uint8_t* out);

  static constexpr int kSlack = 64;

 private:
  static constexpr int kPairsPerBlock = 2;  // of the horizontal pass

  using Rows = std::array<const std::uint8_t*, kernels::ResizeKernels::kMaxRows>;
  using OutRows = std::array<std::uint8_t*, kernels::ResizeKernels::kMaxRows>;

  void prepare_horizontal(Interpolation interpolation);
  void prepare_ring();
  void fill_ring(int end_row);
  void resize_rows(const Rows& rows, const Rows& next_rows, const OutRows& out);

  bool resizes_x() const { return window_.x.is_resized(); }
  bool resizes_y() const { return window_.y.is_resized(); }
  const std::uint8_t* source(int row) const { return image_.data + image_.row_bytes * row; }
  std::uint8_t* slot(int row) {
    return reinterpret_cast<std::uint8_t*>(ring_.data()) + row_bytes_ * (row % ring_rows_);
  }

  ImageView image_;
  CropWindow window_;
  kernels::ResizeKernels kernels_{};

  // The horizontal pass. Output pixels from `tail_` on would read past the end of a row; they read a copy of
  // its end.
  Filter horizontal_{kPairsPerBlock, 4};
  std::vector<std::int32_t> starts_;  // [pixels], bytes; from `tail_` on they count from `tail_first_`
  int tail_ = 0;
  int tail_first_ = 0;               // the source pixel at which the copies begin
  std::ptrdiff_t tail_bytes_ = 0;    // of one copy
  std::vector<std::uint8_t> tails_;  // [kernels.rows][tail_bytes]

  // The vertical pass, and the ring of rows between the two.
  Filter vertical_{1, 1};
  std::vector<const std::uint8_t*> taps_;  // [pairs * 2]
  Buffer ring_;                            // [ring_rows][row_bytes]
  int ring_rows_ = 0;
  std::ptrdiff_t row_bytes_ = 0;
  int next_row_ = 0;  // the first source row that has not been in the ring
  int end_row_ = 0;   // one past the last source row that the window needs
};

}  // namespace mnv2
