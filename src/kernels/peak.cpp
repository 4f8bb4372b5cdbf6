#include <chrono>

#include "kernels/contracts.h"
#include "kernels/panels.h"
#include "mnv2/benchmark.h"

namespace mnv2 {

Peak measure_peak(Isa isa, Precision precision, double milliseconds) {
  using Clock = std::chrono::steady_clock;
  const kernels::PanelFormat& format =
      kernels::plain_format(kernels::kernel_table(isa).formats, precision, cpu_features());
  const auto start = Clock::now();
  Peak peak;
  constexpr long kRounds = 2000;  // tens of microseconds between two looks at the clock
  do {
    peak.operations += format.peak(kRounds) * kRounds;
    peak.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  } while (peak.seconds * 1e3 < milliseconds);
  return peak;
}

Precision fast_precision(Isa isa) { return kernels::kernel_table(isa).quickest; }

}  // namespace mnv2
