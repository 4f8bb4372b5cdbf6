// Register tiles for products of groups of channels: four bytes of a pixel, two bfloat16s, two words or four bytes, are
// multiplied at once and added up in a lane of the accumulators. Otherwise as kernels/f32/pointwise-inl.h.
#pragma once

#include "kernels/f32/pointwise-inl.h"

namespace {

constexpr int kGroupBytes = 4;

/// Groups of a sum over in_c channels.
template <typename Product>
constexpr int groups_of(int in_c) {
  return (in_c + Product::kChannels - 1) / Product::kChannels;
}

/// The pixels' groups, as `prepare` leaves them: [ceil(groups / V)][pixels][V] groups.
template <typename Product>
std::size_t prepared_group_bytes(int in_c, int pixels) noexcept {
  return static_cast<std::size_t>((groups_of<Product>(in_c) + V - 1) / V) * pixels * kBlockBytes;
}

template <typename Product, int M, int N>
MNV2_INLINE void group_tile(const MatmulArgs& a, int pixel, Prefetch prefetch) {
  const Product product(a, pixel);
  typename Product::Sum sum[M][N];
#pragma GCC unroll 8
  for (int n = 0; n < N; ++n) {
    const typename Product::Sum start = product.start(n);
#pragma GCC unroll 28
    for (int m = 0; m < M; ++m) sum[m][n] = start;
  }
  const std::byte* x = product.groups();
  const std::byte* w = product.weights();
  const std::ptrdiff_t block_stride = std::ptrdiff_t{a.prepared.pixels} * kBlockBytes;
  for (int left = groups_of<Product>(a.in_c); left > 0; left -= V, x += block_stride) {
    const std::byte* group = x;
    const std::byte* const end = x + (left < V ? left : V) * kGroupBytes;
    for (; group < end; group += kGroupBytes, w += N * kBlockBytes) {
      prefetch.fetch();
      typename Product::Weights weight[N];
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) weight[n] = Product::load_weights(w + n * kBlockBytes);
#pragma GCC unroll 28
      for (int m = 0; m < M; ++m) Product::multiply(group + m * kBlockBytes, weight, sum[m]);
    }
  }
  Vec acc[M][N];
  product.template finish<M, N>(sum, acc);
  store_pixels<0, M, RoundedIfAsked>(a, pixel, acc);
}

/// Tiles of N output vectors.
template <typename Product, int N>
struct GroupTiles {
  static constexpr int kMaxPixels = max_tile_pixels(N);
  static int fetches(int in_c) { return groups_of<Product>(in_c); }
  template <int M>
  MNV2_INLINE static void run(const MatmulArgs& a, int pixel, Prefetch prefetch) {
    group_tile<Product, M, N>(a, pixel, prefetch);
  }
};

/// As fma_peak.
template <typename Product>
double peak_of_groups(long iterations) noexcept {
  constexpr int kChains = Vec::kRegisters >= 32 ? 24 : 12;
  alignas(64) static constexpr std::byte kZeros[64] = {};
  const std::byte* zeros = kZeros;
  __asm__ volatile("" : "+r"(zeros));  // or the compiler would know the products
  typename Product::Sum sum[kChains / 2][2];
  const typename Product::Weights weight[2] = {Product::load_weights(zeros), Product::load_weights(zeros)};
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) sum[i / 2][i % 2] = Product::zero();
  for (long n = 0; n < iterations; ++n) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains / 2; ++i) {
      __asm__ volatile("" : "+r"(zeros));  // or it would multiply once for all
      Product::multiply(zeros, weight, sum[i]);
    }
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sum[i / 2][i % 2].keep();
  }
  return 2.0 * kChains * Product::kChannels * V;
}

template <typename Product>
void multiply_groups(const MatmulArgs& a) noexcept {
  if (a.vectors == 1)
    run_panel<GroupTiles<Product, 1>>(a);
  else
    run_panel<GroupTiles<Product, 2>>(a);
}

}  // namespace
