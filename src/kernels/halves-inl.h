// Pointwise convolution for output channels that end in the middle of a vector.
#pragma once

#include "kernels/pointwise-inl.h"

namespace {

/// M pixels x H half vectors of outputs. Lanes 2 j and 2 j + 1 of an accumulator belong to output j of its
/// half vector: one takes the even input channels, the other the odd ones, so that no lane idles. What all
/// outputs of a pixel are multiplied with is then the same two floats, one load for H multiply-adds.
template <int M, int H>
MNV2_INLINE void halves_tile(const PointwiseArgs& a, int pixel, Prefetch prefetch) {
  constexpr int N = (H + 1) / 2;
  const Vec zero = Vec::set(0);
  Vec acc[M][2 * N];
#pragma GCC unroll 14
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int h = 0; h < 2 * N; ++h) acc[m][h] = zero;
  const float* x = a.input + std::ptrdiff_t{pixel} * V;
  const float* w = a.weights;
  for (int channels = a.in_c; channels > 0; channels -= V, x += a.input_block_stride) {
    for (int lane = 0; lane < V && lane < channels; lane += 2, w += H * V) {
      for (int i = 0; i < prefetch.lines; ++i, prefetch.next += kLineFloats)
        __builtin_prefetch(prefetch.next, 0, 2);
      Vec weight[H];
#pragma GCC unroll 4
      for (int h = 0; h < H; ++h) weight[h] = Vec::load(w + h * V);
#pragma GCC unroll 14
      for (int m = 0; m < M; ++m) {
        const Vec pair = Vec::load_pair(x + m * V + lane);
#pragma GCC unroll 4
        for (int h = 0; h < H; ++h) acc[m][h] = fma(pair, weight[h], acc[m][h]);
      }
    }
  }
  Vec sum[M][N];
#pragma GCC unroll 14
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) sum[m][n] = add_pairs(acc[m][2 * n], acc[m][2 * n + 1]);
  if (a.accumulate) {
    TilePixels<M, N>(a.output, pixel)
        .template for_each<0, M>([&](const float* p, int m, int n) __attribute__((always_inline)) {
          sum[m][n] = add(sum[m][n], Vec::load(p));
        });
  } else {
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) {
      const Vec bias = Vec::load(a.bias + n * V);
#pragma GCC unroll 14
      for (int m = 0; m < M; ++m) sum[m][n] = add(sum[m][n], bias);
    }
  }
  store_pixels<0, M>(a, pixel, sum);
}

/// Tiles of H half vectors.
template <int H>
struct HalfTiles {
  static constexpr int kMaxPixels = max_tile_pixels(H) < 14 ? max_tile_pixels(H) : 14;
  static int fetches(int in_c) { return (in_c + 1) / 2; }
  template <int M>
  MNV2_INLINE static void run(const PointwiseArgs& a, int pixel, Prefetch prefetch) {
    halves_tile<M, H>(a, pixel, prefetch);
  }
};

void pointwise_halves(const PointwiseArgs& a) noexcept {
  if (a.vectors == 1)
    run_panel<HalfTiles<1>>(a);
  else
    run_panel<HalfTiles<3>>(a);
}

}  // namespace
