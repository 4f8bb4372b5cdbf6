// The FMA-peak loop: enough independent accumulators to fill two FMA units of latency four, and nothing else.
#pragma once

namespace {

double fma_peak(long iterations) noexcept {
  constexpr int kChains = 12;
  constexpr int kRepeat = 8;
  Vec acc[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) acc[i] = Vec::set(static_cast<float>(i));
  // x * 0.5 + 1 converges to 2: no overflow, no denormals.
  const Vec half = Vec::set(0.5f);
  const Vec one = Vec::set(1.0f);
  for (long n = 0; n < iterations; ++n) {
#pragma GCC unroll 8
    for (int r = 0; r < kRepeat; ++r)
#pragma GCC unroll 12
      for (int i = 0; i < kChains; ++i) acc[i] = fma(acc[i], half, one);
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) acc[i].keep();
  }
  return 2.0 * kChains * kRepeat * Vec::kLanes;
}

}  // namespace
