// The one symbol that each per-ISA translation unit exports.
#pragma once

#include "kernels/contracts.h"

namespace mnv2::kernels {

extern const KernelTable kPortableKernels;   // isa_portable.cpp
extern const KernelTable kAvx2Kernels;       // isa_avx2.cpp
extern const KernelTable kAvx512Kernels;     // isa_avx512.cpp
extern const KernelTable kAvx512ZenKernels;  // isa_avx512.cpp
extern const KernelTable kNeonKernels;       // isa_neon.cpp

}  // namespace mnv2::kernels
