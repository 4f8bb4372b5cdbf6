// 3x3 depthwise convolution, straight from the rows of the input: no im2col, no padded copy.
#pragma once

#include <utility>  // std::integer_sequence: types only, nothing inline

#include "kernels/kernels.h"
#include "kernels/tile-inl.h"

namespace {

using mnv2::kernels::DepthwiseArgs;

/// R output rows x T output columns of stride S, starting at output column `col`. Every input vector is loaded once
/// and multiplied into all outputs whose window covers it. The sum over the nine taps runs in row order.
template <int R, int T, int S>
void depthwise_tile(const DepthwiseArgs& a, int col) noexcept {
  Vec weight[9];
#pragma GCC unroll 9
  for (int tap = 0; tap < 9; ++tap) weight[tap] = Vec::load(a.weights + tap * V);
  Vec acc[R][T];
  const Vec bias = Vec::load(a.weights + 9 * V);
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) acc[r][t] = bias;

#pragma GCC unroll 5
  for (int i = 0; i < (R - 1) * S + 3; ++i) {
    const float* in = a.rows[i] + std::ptrdiff_t{col} * S * V;
#pragma GCC unroll 17
    for (int x = 0; x < (T - 1) * S + 3; ++x) {
      const Vec value = Vec::load(in + x * V);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) {
        const int ky = i - r * S;
        if (ky < 0 || ky > 2) continue;
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) {
          const int kx = x - t * S;
          if (kx < 0 || kx > 2) continue;
          acc[r][t] = fma(value, weight[ky * 3 + kx], acc[r][t]);
        }
      }
    }
  }
  const Vec lo = Vec::set(a.clamp_min);
  const Vec hi = Vec::set(a.clamp_max);
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t)
      clamp(acc[r][t], lo, hi).store(a.output + r * a.output_row_stride + (std::ptrdiff_t{col} + t) * V);
}

/// Columns of a tile: with nine weights in registers where there are 32, fewer where there are 16.
constexpr int kDepthwiseColumns = Vec::kRegisters >= 32 ? 7 : 4;

using DepthwiseTile = void (*)(const DepthwiseArgs&, int col) noexcept;

/// Tiles of R rows and stride S by their number of columns: tile[t - 1] handles t columns.
template <int R, int S, typename Sizes = std::make_integer_sequence<int, kDepthwiseColumns>>
struct DepthwiseTiles;
template <int R, int S, int... I>
struct DepthwiseTiles<R, S, std::integer_sequence<int, I...>> {
  static constexpr DepthwiseTile tile[] = {depthwise_tile<R, I + 1, S>...};
};

template <int R, int S>
MNV2_INLINE void depthwise_rows(const DepthwiseArgs& a) {
  int tiles = (a.out_w + kDepthwiseColumns - 1) / kDepthwiseColumns;
  for (int col = 0; tiles > 0; --tiles) {
    const int size = (a.out_w - col + tiles - 1) / tiles;
    DepthwiseTiles<R, S>::tile[size - 1](a, col);
    col += size;
  }
}

void depthwise(const DepthwiseArgs& a) noexcept {
  if (a.stride == 1) {
    if (a.out_rows == 2)
      depthwise_rows<2, 1>(a);
    else
      depthwise_rows<1, 1>(a);
  } else {
    if (a.out_rows == 2)
      depthwise_rows<2, 2>(a);
    else
      depthwise_rows<1, 2>(a);
  }
}

}  // namespace
