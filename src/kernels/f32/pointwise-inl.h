// Pointwise convolution and fully connected layers: register tiles of pixels x output vectors over the input
// channels.
#pragma once

#include <utility>  // std::integer_sequence: types only, nothing inline

#include "kernels/contracts.h"
#include "kernels/f32/fma_peak-inl.h"
#include "kernels/f32/tile-inl.h"
#include "kernels/packing.h"

namespace {

using mnv2::kernels::kLinearVectors;
using mnv2::kernels::LinearArgs;
using mnv2::kernels::MatmulArgs;
using mnv2::kernels::PackArgs;
using mnv2::kernels::PrepareArgs;
using mnv2::kernels::Start;

/// The M x N vectors of a tile in a view. Whether the pixels are contiguous is settled once a tile: then
/// every address is base + constant.
template <int M, int N, typename Byte>
struct TilePixels {
  Byte* block[N];
  const std::int32_t* offsets;

  MNV2_INLINE TilePixels(const mnv2::kernels::BasicView<Byte>& view, int pixel) : offsets(view.offsets) {
    Byte* first = view.data;
    if (offsets == nullptr) {
      first += std::ptrdiff_t{pixel} * kBlockBytes;
    } else {
      offsets += pixel;
      if (offsets[M - 1] - offsets[0] == (M - 1) * kBlockBytes) {  // within a row
        first += offsets[0];
        offsets = nullptr;
      }
    }
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) block[n] = first + n * view.block_stride;
  }

  /// Calls visit(address, m, n) for each vector of pixels [kFirst, kEnd).
  template <int kFirst, int kEnd, typename Visit>
  MNV2_INLINE void for_each(Visit visit) const {
    if (offsets == nullptr) {
#pragma GCC unroll 28
      for (int m = kFirst; m < kEnd; ++m)
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) visit(block[n] + m * kBlockBytes, m, n);
    } else {
#pragma GCC unroll 28
      for (int m = kFirst; m < kEnd; ++m) {
        const std::ptrdiff_t offset = offsets[m];
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) visit(block[n] + offset, m, n);
      }
    }
  }
};

/// C input channels, as many as one load of a pixel brings, or one, of a tile's pixels [kFirst, kEnd): `x` is
/// the first of them in the tile's first pixel, `w` its row of the weight panel.
template <int C, int kFirst, int kEnd, int M, int N>
MNV2_INLINE void multiply_channels_of_load(const float* x, const float* w, Vec (&acc)[M][N]) {
  Vec weight[C][N];
#pragma GCC unroll 4
  for (int c = 0; c < C; ++c)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) weight[c][n] = Vec::load(w + (c * N + n) * V);
  if constexpr (C == 1) {
#pragma GCC unroll 28
    for (int m = kFirst; m < kEnd; ++m) multiply_pixel(x + m * V, m, weight[0], acc[m]);
  } else {
    // Per pixel one load serves C * N multiply-adds. Two pixels take turns, so that the multiply-adds of one
    // accumulator are not neighbours.
#pragma GCC unroll 28
    for (int first = kFirst; first < kEnd; first += 2) {
      const int end = first + 2 < kEnd ? first + 2 : kEnd;
      Factors value[2];
#pragma GCC unroll 2
      for (int m = first; m < end; ++m) value[m - first] = Factors::load(x + m * V);
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c)
#pragma GCC unroll 2
        for (int m = first; m < end; ++m)
#pragma GCC unroll 8
          for (int n = 0; n < N; ++n) acc[m][n] = fma(value[m - first], c, weight[c][n], acc[m][n]);
    }
  }
}

/// Four input channels of pixels [kFirst, kEnd).
template <int kFirst, int kEnd, int M, int N>
MNV2_INLINE void multiply_four_channels(const float* x, const float* w, Vec (&acc)[M][N]) {
#pragma GCC unroll 4
  for (int c = 0; c < 4; c += Factors::kCount)
    multiply_channels_of_load<Factors::kCount, kFirst, kEnd>(x + c, w + c * N * V, acc);
}

/// Memory to fetch while multiplying: `lines` cache lines from `next` on with every four channels.
struct Prefetch {
  const std::byte* next = nullptr;
  int lines = 0;

  /// Fetches the next lines.
  MNV2_INLINE void fetch() {
    for (int i = 0; i < lines; ++i, next += kLineBytes) __builtin_prefetch(next, 0, 2);
  }
  static constexpr int kLineBytes = 64;
};

/// The last one to four input channels of a tile. They are neighbours: a block of V channels is a multiple of
/// four.
struct LastChannels {
  const float* x;  // in the tile's first pixel
  const float* w;
  int count;

  /// Multiplies them with pixels [kFirst, kEnd).
  template <int kFirst, int kEnd, int M, int N>
  MNV2_INLINE void multiply(Vec (&acc)[M][N]) const {
    if (count == 4) {
      multiply_four_channels<kFirst, kEnd>(x, w, acc);
    } else {
      for (int c = 0; c < count; ++c) multiply_channels_of_load<1, kFirst, kEnd>(x + c, w + c * N * V, acc);
    }
  }
};

/// Groups of four input channels before the last channels.
MNV2_INLINE int fours_of(int in_c) { return (in_c - 1) / 4; }

/// All input channels but the last. `x` walks through the lanes of a block, then jumps to the next block.
template <int M, int N>
MNV2_INLINE LastChannels multiply_channels(const float* x, std::ptrdiff_t block_stride, const float* w,
                                           int in_c, Prefetch prefetch, Vec (&acc)[M][N]) {
  for (int fours = fours_of(in_c); fours > 0;) {
    int lanes = 0;
    for (; lanes < V && fours > 0; lanes += 4, --fours) {
      prefetch.fetch();
      multiply_four_channels<0, M>(x + lanes, w, acc);
      w += 4 * N * V;
    }
    x += lanes == V ? block_stride : lanes;
  }
  return {x, w, in_c - 4 * fours_of(in_c)};
}

/// What is done with finished values before they are stored: nothing.
struct AsTheyAre {
  template <int kFirst, int kEnd, int M, int N>
  MNV2_INLINE static void finish(const mnv2::kernels::Epilogue&, Vec (&)[M][N]) {}
};

/// Rounded to bfloat16, where the epilogue asks for it.
struct RoundedIfAsked {
  template <int kFirst, int kEnd, int M, int N>
  MNV2_INLINE static void finish(const mnv2::kernels::Epilogue& e, Vec (&acc)[M][N]) {
    if (!e.rounds_to_bf16) return;
#pragma GCC unroll 28
    for (int m = kFirst; m < kEnd; ++m)
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) acc[m][n] = round_to_bf16(acc[m][n]);
  }
};

/// The way of pixels [kFirst, kEnd) of a tile to memory.
template <int kFirst, int kEnd, typename Ending = AsTheyAre, int M, int N>
MNV2_INLINE void store_pixels(const MatmulArgs& a, int pixel, Vec (&acc)[M][N]) {
  if (const mnv2::kernels::Epilogue* const e = a.epilogue; e != nullptr) {
    if (!is_linear(e->clamp_min, e->clamp_max)) {
      const Vec lo = Vec::set(e->clamp_min);
      const Vec hi = Vec::set(e->clamp_max);
#pragma GCC unroll 28
      for (int m = kFirst; m < kEnd; ++m)
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) acc[m][n] = clamp(acc[m][n], lo, hi);
    }
    if (e->residual.data != nullptr) {
      TilePixels<M, N, const std::byte>(e->residual, pixel)
          .template for_each<kFirst, kEnd>([&](const std::byte* p, int m, int n) __attribute__((
              always_inline)) { acc[m][n] = add(acc[m][n], load(p)); });
    }
    Ending::template finish<kFirst, kEnd>(*e, acc);
  }
  TilePixels<M, N, std::byte>(a.output, pixel)
      .template for_each<kFirst, kEnd>([&](std::byte * p, int m, int n)
                                           __attribute__((always_inline)) { store(acc[m][n], p); });
}

/// Pixels [kFirst, kEnd) of a tile from their last channels to memory, then the pixels after them.
template <int kFirst, int kEnd, typename Ending, int M, int N>
MNV2_INLINE void finish_pixels(const MatmulArgs& a, int pixel, const LastChannels& last, Vec (&acc)[M][N]) {
  last.template multiply<kFirst, kEnd>(acc);
  store_pixels<kFirst, kEnd, Ending>(a, pixel, acc);
  if constexpr (kEnd < M)
    finish_pixels<kEnd, (2 * kEnd - kFirst < M ? 2 * kEnd - kFirst : M), Ending>(a, pixel, last, acc);
}

/// Stores that may stand in a row. Stores that wait for their values block the multiply-adds of the next tile:
/// on Zen 5, 28 at once cost a tile 40 cycles, ten cost ten. So the pixels of a large tile are
/// finished in groups, with the last channels of the next group between the stores.
constexpr int kStoresInARow = 12;

/// Pixels of a group, in the fewest groups, as equal as can be.
constexpr int group_pixels(int pixels, int vectors) {
  const int groups = (pixels * vectors + kStoresInARow - 1) / kStoresInARow;
  return (pixels + groups - 1) / groups;
}

/// Where no previous sums are added to: output vector n of the bias, or zeros.
MNV2_INLINE Vec start_vector(const MatmulArgs& a, int n) {
  return a.start == Start::bias ? Vec::load(a.bias + n * V) : Vec::set(0);
}

/// What a tile's sums begin with.
template <int M, int N>
MNV2_INLINE void start_tile(const MatmulArgs& a, int pixel, Vec (&acc)[M][N]) {
  if (a.start == Start::previous) {
    TilePixels<M, N, std::byte>(a.output, pixel)
        .template for_each<0, M>([&](const std::byte* p, int m, int n)
                                     __attribute__((always_inline)) { acc[m][n] = load(p); });
    return;
  }
#pragma GCC unroll 8
  for (int n = 0; n < N; ++n) {
    const Vec bias = start_vector(a, n);
#pragma GCC unroll 28
    for (int m = 0; m < M; ++m) acc[m][n] = bias;
  }
}

/// Channel 0 of a pixel of the input.
MNV2_INLINE const float* first_channel(const MatmulArgs& a, int pixel) {
  return floats(a.input) + std::ptrdiff_t{pixel} * V;
}

template <int M, int N, typename Ending>
MNV2_INLINE void pointwise_tile(const MatmulArgs& a, int pixel, Prefetch prefetch) {
  Vec acc[M][N];
  start_tile(a, pixel, acc);
  const LastChannels last = multiply_channels(first_channel(a, pixel), a.input_block_stride / kFloatBytes,
                                              floats(a.weights), a.in_c, prefetch, acc);
  finish_pixels<0, group_pixels(M, N), Ending>(a, pixel, last, acc);
}

/// Tiles of N output vectors: what a panel needs to know of them.
template <int N, typename Ending = AsTheyAre>
struct VectorTiles {
  static constexpr int kMaxPixels = max_tile_pixels(N);
  /// How often a tile fetches ahead.
  static int fetches(int in_c) { return fours_of(in_c); }
  template <int M>
  MNV2_INLINE static void run(const MatmulArgs& a, int pixel, Prefetch prefetch) {
    pointwise_tile<M, N, Ending>(a, pixel, prefetch);
  }
};

/// `count` tiles of M pixels from `pixel` on.
template <typename Tiles, int M>
void run_tiles(const MatmulArgs& a, int pixel, int count, Prefetch prefetch) noexcept {
  const std::ptrdiff_t tile_bytes =
      std::ptrdiff_t{Tiles::fetches(a.in_c)} * prefetch.lines * Prefetch::kLineBytes;
  for (; count > 0; --count, pixel += M) {
    Tiles::template run<M>(a, pixel, prefetch);
    prefetch.next += tile_bytes;
  }
}

using TilesRun = void (*)(const MatmulArgs&, int pixel, int count, Prefetch) noexcept;

/// Tiles by their number of pixels: run[m - 1] handles tiles of m pixels.
template <typename Tiles, typename Sizes = std::make_integer_sequence<int, Tiles::kMaxPixels>>
struct TilesBySize;
template <typename Tiles, int... I>
struct TilesBySize<Tiles, std::integer_sequence<int, I...>> {
  static constexpr TilesRun run[] = {run_tiles<Tiles, I + 1>...};
};

/// Splits the pixels into the fewest tiles and makes these as equal as can be, so that none is left with few
/// accumulators and the latency of its FMAs bare.
template <typename Tiles>
MNV2_INLINE void run_panel(const MatmulArgs& a) {
  const int tiles = (a.pixels + Tiles::kMaxPixels - 1) / Tiles::kMaxPixels;
  // Each tile fetches its share of the weights to come, spread over its channels.
  const int fetches = Tiles::fetches(a.in_c);
  Prefetch prefetch{a.prefetch, 0};
  if (a.prefetch != nullptr && fetches > 0) {
    const std::ptrdiff_t shares = std::ptrdiff_t{tiles} * fetches * Prefetch::kLineBytes;
    prefetch.lines = static_cast<int>((a.prefetch_bytes + shares - 1) / shares);
  }
  const int size = a.pixels / tiles;
  const int larger = a.pixels % tiles;  // tiles of size + 1
  if (larger > 0) TilesBySize<Tiles>::run[size](a, 0, larger, prefetch);
  prefetch.next += std::ptrdiff_t{larger} * fetches * prefetch.lines * Prefetch::kLineBytes;
  TilesBySize<Tiles>::run[size - 1](a, larger * (size + 1), tiles - larger, prefetch);
}

void multiply_f32(const MatmulArgs& a) noexcept {
  if (a.vectors == 1)
    run_panel<VectorTiles<1>>(a);
  else
    run_panel<VectorTiles<2>>(a);
}

std::size_t weights_bytes_f32(int in_c, int halves) noexcept {
  return static_cast<std::size_t>(in_c) * ((halves + 1) / 2) * kBlockBytes;
}

void pack_f32(const PackArgs& a) noexcept { mnv2::kernels::pack_panel(a, V); }

/// Where `multiply` needs to know no more of the pixels than their values.
void prepare_nothing(const PrepareArgs&) noexcept {}
std::size_t prepared_bytes_none(int, int) noexcept { return 0; }

/// weights: [in_c][vectors * V]. For each output the terms are added in the order of the channels, one fused
/// multiply-add each, whatever tile it falls into: so a sum may be cut into several calls, over the channels or over the
/// pixels, and keeps every bit.
constexpr mnv2::kernels::PanelFormat kF32Format{.name = "f32",
                                                .precision = mnv2::Precision::float32,
                                                .needs = {},
                                                .input = mnv2::kernels::Element::f32,
                                                .weight = mnv2::kernels::Element::f32,
                                                .halves = 1u << 2 | 1u << 4,
                                                .min_in_c = 1,
                                                .cancels = false,
                                                .prepares = false,
                                                .prepared_bytes = prepared_bytes_none,
                                                .weights_bytes = weights_bytes_f32,
                                                .pack = pack_f32,
                                                .prepare = prepare_nothing,
                                                .multiply = multiply_f32,
                                                .peak = fma_peak};

void linear(const LinearArgs& a) noexcept {
  Vec acc[1][kLinearVectors];
#pragma GCC unroll 8
  for (int n = 0; n < kLinearVectors; ++n) acc[0][n] = Vec::load(a.output + n * V);
  multiply_channels(a.input, V, a.weights, a.in_c, Prefetch{}, acc).template multiply<0, 1>(acc);
#pragma GCC unroll 8
  for (int n = 0; n < kLinearVectors; ++n) acc[0][n].store(a.output + n * V);
}

}  // namespace
