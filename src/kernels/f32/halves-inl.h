// Pointwise convolution for output channels that end in the middle of a vector. Channels are multiples of eight, not of
// sixteen: a projection to 24 channels would leave a quarter of two AVX-512 vectors idle.
#pragma once

#include "kernels/f32/pointwise-inl.h"

namespace {

/// M pixels x H half vectors of outputs. Lanes 2 j and 2 j + 1 of an accumulator belong to output j of its
/// half vector: one takes the even input channels, the other the odd ones, so that no lane idles. What all
/// outputs of a pixel are multiplied with is then the same two floats, one load for H multiply-adds.
template <int M, int H>
MNV2_INLINE void halves_tile(const MatmulArgs& a, int pixel, Prefetch prefetch) {
  constexpr int N = (H + 1) / 2;
  const Vec zero = Vec::set(0);
  Vec acc[M][2 * N];
#pragma GCC unroll 14
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int h = 0; h < 2 * N; ++h) acc[m][h] = zero;
  const float* x = first_channel(a, pixel);
  const float* w = floats(a.weights);
  for (int channels = a.in_c; channels > 0; channels -= V, x += a.input_block_stride / kFloatBytes) {
    for (int lane = 0; lane < V && lane < channels; lane += 2, w += H * V) {
      prefetch.fetch();
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
  if (a.start == Start::previous) {
    TilePixels<M, N, std::byte>(a.output, pixel)
        .template for_each<0, M>([&](const std::byte* p, int m, int n)
                                     __attribute__((always_inline)) { sum[m][n] = add(sum[m][n], load(p)); });
  } else {
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) {
      const Vec bias = start_vector(a, n);
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
  MNV2_INLINE static void run(const MatmulArgs& a, int pixel, Prefetch prefetch) {
    halves_tile<M, H>(a, pixel, prefetch);
  }
};

void multiply_f32_halves(const MatmulArgs& a) noexcept {
  if (a.vectors == 1)
    run_panel<HalfTiles<1>>(a);
  else
    run_panel<HalfTiles<3>>(a);
}

std::size_t weights_bytes_f32_halves(int in_c, int halves) noexcept {
  return static_cast<std::size_t>((in_c + 1) / 2) * halves * kBlockBytes;
}

void pack_f32_halves(const PackArgs& a) noexcept { mnv2::kernels::pack_halves(a, V); }

/// For a panel whose last vector has outputs in its lower half alone. weights: [ceil(in_c / 2)][half vectors][V], with
/// the weights of input channels 2 i and 2 i + 1 in turns. All lanes are multiplied, where the panel in whole vectors
/// would multiply a quarter (or half) for nothing. The sum over the even channels and the one over the odd are added up,
/// then what the sum begins with is added: so a cut over the pixels keeps every bit, one over the channels does not.
constexpr mnv2::kernels::PanelFormat kF32HalvesFormat{.name = "f32-halves",
                                                      .precision = mnv2::Precision::float32,
                                                      .needs = {},
                                                      .input = mnv2::kernels::Element::f32,
                                                      .weight = mnv2::kernels::Element::f32,
                                                      .halves = 1u << 1 | 1u << 3,
                                                      .min_in_c = 1,
                                                      .cancels = false,
                                                      .prepares = false,
                                                      .prepared_bytes = prepared_bytes_none,
                                                      .weights_bytes = weights_bytes_f32_halves,
                                                      .pack = pack_f32_halves,
                                                      .prepare = prepare_nothing,
                                                      .multiply = multiply_f32_halves,
                                                      .peak = fma_peak};

}  // namespace
