// Pointwise convolution where some products of two channels cost one multiplication and two additions (S. Winograd, "A
// New Algorithm for Inner Product", IEEE Transactions on Computers, 1968):
//   x0 w0 + x1 w1 = (x0 + w1) (x1 + w0) - x0 x1 - w0 w1
// The products of two inputs are the same for all outputs of a pixel (they are prepared), those of two weights the same
// for all pixels (the bias holds them). AMD's Zen 4 and 5 add in units that do not multiply, and a plain sum of products
// leaves those idle. Of the 16 channels of a block ten make pairs and six do not, in turns, which keeps both kinds of
// units busy: 11 multiply-adds and 10 additions for 16 products. `build/tests/bench_kernels avx512-zen` shows 103 to
// 126 % of the peak of multiply-adds for the layers at 14 x 14.
// What cancels is as large as the square of the larger factor: model/pairing.h keeps inputs and weights about as large as
// each other, by powers of two, or leaves a layer plain.
#pragma once

#include "kernels/f32/pointwise-inl.h"

namespace {

using mnv2::kernels::channels_in_pairs;
using mnv2::kernels::pairs_in_block;

/// Two neighbouring channels of one pixel: acc[n] += (x[0] + weight[1][n]) (x[1] + weight[0][n]).
template <int M>
MNV2_INLINE void multiply_pair(const float* x, const float* w, Vec (&acc)[M][2]) {
  Vec weight[2][2];
#pragma GCC unroll 2
  for (int c = 0; c < 2; ++c)
#pragma GCC unroll 2
    for (int n = 0; n < 2; ++n) weight[c][n] = Vec::load(w + (c * 2 + n) * V);
#pragma GCC unroll 14
  for (int m = 0; m < M; ++m) fma_pair(x + m * V, weight, acc[m]);
}

/// All input channels but the last: pairs and single channels in turns, so that adders and multipliers are both busy.
template <int M>
MNV2_INLINE LastChannels multiply_pairs(const float* x, std::ptrdiff_t block_stride, const float* w, int in_c,
                                        Prefetch prefetch, Vec (&acc)[M][2]) {
  constexpr int kRow = 2 * V;  // floats of a channel's weights
  for (int left = channels_in_pairs(in_c); left > 0; left -= V) {
    const int channels = left < V ? left : V;
    const int pairs = pairs_in_block(channels);
    int single = 2 * pairs;
    for (int lane = 0; lane < 2 * pairs; lane += 2, ++single) {
      prefetch.fetch();
      multiply_pair(x + lane, w + lane * kRow, acc);
      multiply_channels_of_load<1, 0, M>(x + single, w + single * kRow, acc);
    }
    for (; single < channels; ++single)
      multiply_channels_of_load<1, 0, M>(x + single, w + single * kRow, acc);
    w += channels * kRow;
    x += channels == V ? block_stride : channels;
  }
  return {x, w, in_c - channels_in_pairs(in_c)};
}

/// Tiles of two output vectors.
struct PairTiles {
  static constexpr int kMaxPixels = 12;  // 24 accumulators, four weights, two inputs and two sums
  static int fetches(int in_c) {
    const int channels = channels_in_pairs(in_c);
    return channels / V * pairs_in_block(V) + pairs_in_block(channels % V);
  }
  template <int M>
  MNV2_INLINE static void run(const MatmulArgs& a, int pixel, Prefetch prefetch) {
    Vec acc[M][2];
    start_tile(a, pixel, acc);
#pragma GCC unroll 14
    for (int m = 0; m < M; ++m) {
      const Vec products = Vec::set(floats(a.prepared.data)[a.prepared.first + pixel + m]);
#pragma GCC unroll 2
      for (int n = 0; n < 2; ++n) acc[m][n] = sub(acc[m][n], products);
    }
    const LastChannels last = multiply_pairs(first_channel(a, pixel), a.input_block_stride / kFloatBytes,
                                             floats(a.weights), a.in_c, prefetch, acc);
    finish_pixels<0, group_pixels(M, 2), AsTheyAre>(a, pixel, last, acc);
  }
};

void multiply_f32_pairs(const MatmulArgs& a) noexcept { run_panel<PairTiles>(a); }

/// acc[0]: the sums of the lanes of acc[0], acc[1] and so on.
template <int kVectors>
MNV2_INLINE void add_up(Vec* acc) {
#pragma GCC unroll 8
  for (int i = 0; i < kVectors / 2; ++i) acc[i] = add_pairs(acc[2 * i], acc[2 * i + 1]);
  if constexpr (kVectors > 2) add_up<kVectors / 2>(acc);
}

/// The sums of V pixels' pair products, a block after the other.
template <typename Load>
MNV2_INLINE void pair_products_of_vector(const PrepareArgs& a, const Load& load, float* output) {
  Vec acc[V];
#pragma GCC unroll 16
  for (int p = 0; p < V; ++p) acc[p] = Vec::set(0);
  std::ptrdiff_t block = 0;
  for (int left = channels_in_pairs(a.in_c); left > 0;
       left -= V, block += a.input_block_stride / kFloatBytes) {
    const int pairs = pairs_in_block(left < V ? left : V);
#pragma GCC unroll 16
    for (int p = 0; p < V; ++p) {
      Vec x = load(block, p);
      x.keep();  // or it would be loaded twice
      acc[p] = fma(x, second_of_pairs(x, pairs), acc[p]);
    }
  }
  add_up<V>(acc);
  acc[0].store(output);
}

/// prepared[p] = sum over the pairs of input[p][c] * input[p][c + 1].
void prepare_f32_pairs(const PrepareArgs& a) noexcept {
  float* const output = floats(a.prepared) + a.first;
  int pixel = 0;
  for (; pixel + V <= a.pixels; pixel += V) {
    const float* x = floats(a.input) + std::ptrdiff_t{pixel} * V;
    pair_products_of_vector(
        a,
        [&](std::ptrdiff_t block, int p)
            __attribute__((always_inline)) { return Vec::load(x + block + p * V); },
        output + pixel);
  }
  if (pixel == a.pixels) return;
  const float* x = floats(a.input) + std::ptrdiff_t{pixel} * V;
  const int rest = a.pixels - pixel;
  float last[V];
  pair_products_of_vector(
      a,
      [&](std::ptrdiff_t block, int p)
          __attribute__((always_inline)) { return p < rest ? Vec::load(x + block + p * V) : Vec::set(0); },
      last);
  for (int p = 0; p < rest; ++p) output[pixel + p] = last[p];
}

std::size_t prepared_bytes_f32_pairs(int, int pixels) noexcept {
  return static_cast<std::size_t>(pixels) * kFloatBytes;
}

void pack_f32_pairs(const PackArgs& a) noexcept {
  mnv2::kernels::pack_panel(a, V);
  mnv2::kernels::subtract_pair_products(floats(a.weights), a.in_c, 2 * V, V, a.first_bias);
}

/// weights: as kF32Format's. The products of the inputs are prepared, those of the weights are left out: the bias that
/// begins a sum holds those of all calls that add to it. Pairs and single channels take turns, so the order is not that
/// of the channels, and the last bits differ from kF32Format's. A cut over the pixels keeps every bit, one over the
/// channels does not. Shorter sums than min_in_c gain less than the products of the input cost.
constexpr mnv2::kernels::PanelFormat kF32PairsFormat{.name = "f32-pairs",
                                                     .precision = mnv2::Precision::float32,
                                                     .needs = {},
                                                     .input = mnv2::kernels::Element::f32,
                                                     .weight = mnv2::kernels::Element::f32,
                                                     .halves = 1u << 4,
                                                     .min_in_c = 24,
                                                     .cancels = true,
                                                     .prepares = true,
                                                     .prepared_bytes = prepared_bytes_f32_pairs,
                                                     .weights_bytes = weights_bytes_f32,
                                                     .pack = pack_f32_pairs,
                                                     .prepare = prepare_f32_pairs,
                                                     .multiply = multiply_f32_pairs,
                                                     .peak = fma_peak};

}  // namespace
