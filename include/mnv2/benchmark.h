// What the machine could do at best: the yardstick that `--bench` holds the engine against.
#pragma once

#include "mnv2/isa.h"

namespace mnv2 {

struct FmaPeak {
  double seconds = 0;  // how long the loop ran
  double flops = 0;    // floating point operations it did (one fused multiply-add is two)
};

/// Runs independent fused multiply-adds in registers, on the calling thread, for about `milliseconds`.
/// @throws Error{unsupported_isa}
FmaPeak measure_fma_peak(Isa isa, double milliseconds);

}  // namespace mnv2
