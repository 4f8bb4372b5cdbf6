// All kernels, compiled for one instruction set. Everything but the table stays in anonymous namespaces, so that no
// code made with these compiler flags can replace code that other CPUs run.
#include "kernels/simd_portable.h"

#include "kernels/fma_peak-inl.h"
#include "kernels/isa_tables.h"
#include "kernels/resize-inl.h"

namespace mnv2::kernels {

const KernelTable kPortableKernels{
    .isa = Isa::portable,
    .lanes = Vec::kLanes,
    .fma_peak = fma_peak,
    .resize = kResizeKernels,
};

}  // namespace mnv2::kernels
