// The stem: a dense convolution of three planes, without im2col.
#pragma once

#include <utility>  // std::integer_sequence: types only, nothing inline

#include "kernels/contracts.h"
#include "kernels/f32/tile-inl.h"

namespace {

using mnv2::kernels::StemArgs;

/// As multiply_pixel. Where only F rounds once, by F.
template <typename F, int N>
MNV2_INLINE void multiply_stem_pixel(const float* x, int m, const Vec (&weight)[N], Vec (&acc)[N]) {
  if constexpr (__is_same(F, AnyFma)) {
    multiply_pixel(x, m, weight, acc);
  } else {
    const Vec value = Vec::set(*x);
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) acc[n] = F::fma(value, weight[n], acc[n]);
  }
}

/// M pixels x N output vectors. The taps come from a list, so that the compiler cannot unroll them: it would keep the
/// broadcasts that neighbouring pixels share, and spill accumulators for them.
template <int M, int N, int S, typename F>
void stem_tile(const StemArgs& a, int pixel) noexcept {
  Vec acc[M][N];
#pragma GCC unroll 2
  for (int n = 0; n < N; ++n) {
    const Vec bias = Vec::load(a.bias + n * V);
#pragma GCC unroll 28
    for (int m = 0; m < M; ++m) acc[m][n] = bias;
  }
  const float* w = a.weights;
  for (int tap = 0; tap < a.taps; ++tap, w += N * V) {
    const float* x = a.input + a.tap_offsets[tap] + std::ptrdiff_t{pixel} * S;
    Vec weight[N];
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) weight[n] = Vec::load(w + n * V);
#pragma GCC unroll 28
    for (int m = 0; m < M; ++m) multiply_stem_pixel<F>(x + m * S, m, weight, acc[m]);
  }
  const Vec lo = Vec::set(a.clamp_min);
  const Vec hi = Vec::set(a.clamp_max);
#pragma GCC unroll 28
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) acc[m][n] = clamp(acc[m][n], lo, hi);
  if (a.rounds_to_bf16) {
#pragma GCC unroll 28
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
      for (int n = 0; n < N; ++n) acc[m][n] = round_to_bf16(acc[m][n]);
  }
#pragma GCC unroll 28
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n)
      store(acc[m][n], a.output + n * a.output_block_stride + (std::ptrdiff_t{pixel} + m) * kBlockBytes);
}

using StemTile = void (*)(const StemArgs&, int pixel) noexcept;

/// Tiles of N output vectors and stride S by their number of pixels: tile[m - 1] handles m pixels.
template <int N, int S, typename F, typename Sizes = std::make_integer_sequence<int, max_tile_pixels(2)>>
struct StemTiles;
template <int N, int S, typename F, int... I>
struct StemTiles<N, S, F, std::integer_sequence<int, I...>> {
  static constexpr StemTile tile[] = {stem_tile<I + 1, N, S, F>...};
};

template <int N, int S, typename F>
MNV2_INLINE void stem_row(const StemArgs& a) {
  int tiles = (a.out_w + max_tile_pixels(2) - 1) / max_tile_pixels(2);
  for (int pixel = 0; tiles > 0; --tiles) {
    const int size = (a.out_w - pixel + tiles - 1) / tiles;
    StemTiles<N, S, F>::tile[size - 1](a, pixel);
    pixel += size;
  }
}

template <typename F>
void stem_by(const StemArgs& a) noexcept {
  if (a.stride == 1) {
    if (a.vectors == 1)
      stem_row<1, 1, F>(a);
    else
      stem_row<2, 1, F>(a);
  } else {
    if (a.vectors == 1)
      stem_row<1, 2, F>(a);
    else
      stem_row<2, 2, F>(a);
  }
}

void stem(const StemArgs& a) noexcept { stem_by<AnyFma>(a); }
void stem_fused(const StemArgs& a) noexcept { stem_by<FusedFma>(a); }

}  // namespace
