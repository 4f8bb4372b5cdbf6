// Kernels: the inner loops, one table of function pointers per instruction set.
#pragma once

#include "kernels/resize.h"
#include "mnv2/isa.h"

namespace mnv2::kernels {

/// The kernels of one instruction set. Each field's contract stands at its type.
struct KernelTable {
  Isa isa;
  int lanes;  // floats in a vector, V in the contracts: 4, 8 or 16

  /// Does `iterations` rounds of independent fused multiply-adds in registers; returns the floating point operations
  /// of one round.
  double (*fma_peak)(long iterations) noexcept;

  ResizeKernels resize;
};

/// The table for `isa`, which must be one of supported_isas().
/// @throws Error{unsupported_isa}
const KernelTable& kernel_table(Isa isa);

}  // namespace mnv2::kernels
