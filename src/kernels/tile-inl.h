// What the kernels share: forced inlining and the register budget of a tile. Included after a simd_*.h.
#pragma once

#define MNV2_INLINE inline __attribute__((always_inline))

namespace {

constexpr int V = Vec::kLanes;

/// Pixels of a tile of `vectors` output vectors, so that accumulators, weights and factors fit the registers.
constexpr int max_tile_pixels(int vectors) { return Vec::kAccumulators / vectors; }

MNV2_INLINE Vec clamp(Vec x, Vec lo, Vec hi) { return min(max(x, lo), hi); }

/// True when clamping changes nothing.
MNV2_INLINE bool is_linear(float lo, float hi) { return lo == -__builtin_inff() && hi == __builtin_inff(); }

}  // namespace
