#include <chrono>

#include "kernels/contracts.h"
#include "mnv2/benchmark.h"

namespace mnv2 {

FmaPeak measure_fma_peak(Isa isa, double milliseconds) {
  using Clock = std::chrono::steady_clock;
  const kernels::KernelTable& table = kernels::kernel_table(isa);
  const auto start = Clock::now();
  FmaPeak peak;
  constexpr long kRounds = 2000;  // tens of microseconds between two looks at the clock
  do {
    peak.flops += table.fma_peak(kRounds) * kRounds;
    peak.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  } while (peak.seconds * 1e3 < milliseconds);
  return peak;
}

}  // namespace mnv2
