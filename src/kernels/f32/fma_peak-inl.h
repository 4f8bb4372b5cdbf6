// The FMA-peak loop: enough independent accumulators to fill four FMA units of latency four, or two where there are
// fewer registers, and nothing else.
#pragma once

namespace {

double fma_peak(long iterations) noexcept {
  constexpr int kChains = Vec::kRegisters >= 32 ? 24 : 12;
  constexpr int kRepeat = 8;
  Vec acc[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) acc[i] = Vec::set(static_cast<float>(i));
  // c + x / 2, then c - x / 3, where c is 1 or x itself: no overflow, no denormals.
  const Vec factor[2] = {Vec::set(0.5f), Vec::set(-1.0f / 3)};
  const Vec one = Vec::set(1.0f);
  for (long n = 0; n < iterations; ++n) {
#pragma GCC unroll 8
    for (int r = 0; r < kRepeat; ++r)
#pragma GCC unroll 24
      for (int i = 0; i < kChains; ++i) acc[i] = fma(acc[i], factor[r % 2], Vec::kAddsInPlace ? acc[i] : one);
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) acc[i].keep();
  }
  return 2.0 * kChains * kRepeat * Vec::kLanes;
}

}  // namespace
