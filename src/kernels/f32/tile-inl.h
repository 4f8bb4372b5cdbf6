// What the kernels share: forced inlining and the register budget of a tile. Included after a simd_*.h.
#pragma once

#define MNV2_INLINE inline __attribute__((always_inline))

namespace {

constexpr int V = Vec::kLanes;
constexpr int kFloatBytes = sizeof(float);
constexpr int kBlockBytes = V * kFloatBytes;

// Tensors are bytes; what is in them the kernel knows.
MNV2_INLINE const float* floats(const std::byte* p) { return reinterpret_cast<const float*>(p); }
MNV2_INLINE float* floats(std::byte* p) { return reinterpret_cast<float*>(p); }
MNV2_INLINE Vec load(const std::byte* p) { return Vec::load(floats(p)); }
MNV2_INLINE void store(Vec x, std::byte* p) { x.store(floats(p)); }

/// A multiply-add as the instruction set has it.
struct AnyFma {
  MNV2_INLINE static Vec fma(Vec a, Vec b, Vec c) { return ::fma(a, b, c); }
};

/// One that rounds once, so that all instruction sets have the same bits. Where AnyFma does, it is AnyFma.
struct RoundedOnceFma {
  MNV2_INLINE static Vec fma(Vec a, Vec b, Vec c) { return fused_fma(a, b, c); }
};
template <bool kFused>
struct ChooseFma {
  using Type = RoundedOnceFma;
};
template <>
struct ChooseFma<true> {
  using Type = AnyFma;
};
using FusedFma = ChooseFma<Vec::kFuses>::Type;

/// Pixels of a tile of `vectors` output vectors, so that accumulators, weights and factors fit the registers.
constexpr int max_tile_pixels(int vectors) { return Vec::kAccumulators / vectors; }

/// Whether a multiply-add can read and broadcast a factor from memory itself.
template <typename F>
concept FoldsLoads = requires(const float* p, Vec b) {
  F::fma(p, b, b);
};

/// acc[n] += *x * weight[n] for pixel m of a tile. Where a tile has two vectors, every third pixel's factor is read by
/// the multiply-adds themselves, two loads instead of a load and an operation: so the front end, which issues four
/// operations a cycle (and half of that beside a busy hyperthread), and the two load ports are both left with room.
template <int N, typename F = Factors>
MNV2_INLINE void multiply_pixel(const float* x, int m, const Vec (&weight)[N], Vec (&acc)[N]) {
  if constexpr (N == 2 && FoldsLoads<F>) {
    if (m % 3 == 1) {
#pragma GCC unroll 2
      for (int n = 0; n < N; ++n) acc[n] = F::fma(x, weight[n], acc[n]);
      return;
    }
  }
  const F value = F::load_one(x);
#pragma GCC unroll 8
  for (int n = 0; n < N; ++n) acc[n] = fma(value, 0, weight[n], acc[n]);
}

MNV2_INLINE Vec clamp(Vec x, Vec lo, Vec hi) { return min(max(x, lo), hi); }

/// True when clamping changes nothing.
MNV2_INLINE bool is_linear(float lo, float hi) { return lo == -__builtin_inff() && hi == __builtin_inff(); }

}  // namespace
