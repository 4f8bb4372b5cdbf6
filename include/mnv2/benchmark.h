// What the machine could do at best: the yardstick that `--bench` holds the engine against.
#pragma once

#include "mnv2/export.h"
#include "mnv2/isa.h"

namespace mnv2 {

/// What was done in which time: flops / seconds is the rate.
struct FmaPeak {
  double seconds = 0;  // how long the loop ran
  double flops = 0;    // floating point operations it did (one fused multiply-add is two)
};

/// Runs independent fused multiply-adds in registers, on the calling thread, for about `milliseconds` and tens of
/// microseconds at least.
/// @throws Error{unsupported_isa}
MNV2_API FmaPeak measure_fma_peak(Isa isa, double milliseconds);

}  // namespace mnv2
