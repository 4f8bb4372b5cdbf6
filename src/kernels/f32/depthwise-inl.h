// 3x3 depthwise convolution, straight from the rows of the input: no im2col, no padded copy.
#pragma once

#include "kernels/contracts.h"
#include "kernels/f32/tile-inl.h"

namespace {

using mnv2::kernels::DepthwiseArgs;
using mnv2::kernels::kMaxDepthwiseRows;

/// Sweeps R output rows of stride S from left to right. A column of the input is loaded once and multiplied
/// at once into all outputs whose window it is in; up to three columns of outputs are under way and take
/// turns in `acc`. The sum over the nine taps runs column by column.
/// F multiplies and adds.
template <int R, int S, typename F>
class DepthwiseSweep {
 public:
  MNV2_INLINE explicit DepthwiseSweep(const DepthwiseArgs& a)
      : output_(a.output), row_stride_(a.output_row_stride) {
#pragma GCC unroll 9
    for (int i = 0; i < kRows; ++i) row_[i] = a.rows[i];
#pragma GCC unroll 9
    for (int tap = 0; tap < 9; ++tap) weight_[tap] = Vec::load(a.weights + tap * V);
    bias_ = Vec::load(a.weights + 9 * V);
    lo_ = Vec::set(a.clamp_min);
    hi_ = Vec::set(a.clamp_max);
  }

  MNV2_INLINE void run(int out_w) {
    Vec acc[3][R];
    if constexpr (S == 1) {
      column({.first = acc[0]});
      column({.second = acc[0], .first = acc[1]});
      for (;;) {
        column({.third = acc[0], .second = acc[1], .first = acc[2]});
        finish(acc[0]);
        if (--out_w == 0) return;
        column({.third = acc[1], .second = acc[2], .first = acc[0]});
        finish(acc[1]);
        if (--out_w == 0) return;
        column({.third = acc[2], .second = acc[0], .first = acc[1]});
        finish(acc[2]);
        if (--out_w == 0) return;
      }
    } else {
      column({.first = acc[0]});
      for (;;) {
        column({.second = acc[0]});
        column({.third = acc[0], .first = acc[1]});
        finish(acc[0]);
        if (--out_w == 0) return;
        column({.second = acc[1]});
        column({.third = acc[1], .first = acc[0]});
        finish(acc[1]);
        if (--out_w == 0) return;
      }
    }
  }

 private:
  static constexpr int kRows = (R - 1) * S + 3;

  /// The outputs [R] of which a column is the first, second or third of the window; null: none.
  struct Windows {
    Vec* third = nullptr;
    Vec* second = nullptr;
    Vec* first = nullptr;
  };

  /// Multiplies the next column of the input.
  MNV2_INLINE void column(Windows w) {
    Vec value[kRows];
#pragma GCC unroll 9
    for (int i = 0; i < kRows; ++i) value[i] = load(row_[i] + x_);
    x_ += kBlockBytes;
#pragma GCC unroll 3
    for (int ky = 0; ky < 3; ++ky) {
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const Vec v = value[r * S + ky];
        if (w.third != nullptr) w.third[r] = F::fma(v, weight_[ky * 3 + 2], w.third[r]);
        if (w.second != nullptr) w.second[r] = F::fma(v, weight_[ky * 3 + 1], w.second[r]);
        if (w.first != nullptr) w.first[r] = F::fma(v, weight_[ky * 3], ky == 0 ? bias_ : w.first[r]);
      }
    }
  }

  MNV2_INLINE void finish(const Vec* acc) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) store(clamp(acc[r], lo_, hi_), output_ + r * row_stride_);
    output_ += kBlockBytes;
  }

  const std::byte* row_[kRows];
  std::ptrdiff_t x_ = 0;  // of the next column, bytes
  Vec weight_[9];
  Vec bias_, lo_, hi_;
  std::byte* output_;
  std::ptrdiff_t row_stride_;
};

template <int R, int S, typename F>
void depthwise_rows(const DepthwiseArgs& a) noexcept {
  DepthwiseSweep<R, S, F>(a).run(a.out_w);
}

template <typename F>
void depthwise_by(const DepthwiseArgs& a) noexcept {
  using Rows = void (*)(const DepthwiseArgs&) noexcept;
  static constexpr Rows kRows[2][kMaxDepthwiseRows] = {
      {depthwise_rows<1, 1, F>, depthwise_rows<2, 1, F>, depthwise_rows<3, 1, F>, depthwise_rows<4, 1, F>},
      {depthwise_rows<1, 2, F>, depthwise_rows<2, 2, F>, depthwise_rows<3, 2, F>, depthwise_rows<4, 2, F>}};
  kRows[a.stride - 1][a.out_rows - 1](a);
}

void depthwise(const DepthwiseArgs& a) noexcept { depthwise_by<AnyFma>(a); }
void depthwise_fused(const DepthwiseArgs& a) noexcept { depthwise_by<FusedFma>(a); }

}  // namespace
