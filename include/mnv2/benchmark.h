// What the machine could do at best: the yardstick that `--bench` holds the engine against.
#pragma once

#include "mnv2/export.h"
#include "mnv2/isa.h"
#include "mnv2/precision.h"

namespace mnv2 {

/// What was done in which time: operations / seconds is the rate.
struct Peak {
  double seconds = 0;     // how long the loop ran
  double operations = 0;  // it did: a multiplication and its addition are two
};

/// Runs the multiply-adds that products in `precision` are made of on this CPU, independent and in registers, on the calling
/// thread, for about `milliseconds` and tens of microseconds at least.
/// @throws Error{unsupported_isa}
MNV2_API Peak measure_peak(Isa isa, Precision precision, double milliseconds);

}  // namespace mnv2
