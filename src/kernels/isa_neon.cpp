// All kernels, compiled for one instruction set. Everything but the table stays in anonymous namespaces, so that no
// code made with these compiler flags can replace code that other CPUs run.
#include "kernels/simd_neon.h"

#include "kernels/depthwise-inl.h"
#include "kernels/fma_peak-inl.h"
#include "kernels/isa_tables.h"
#include "kernels/pointwise-inl.h"
#include "kernels/pooling-inl.h"
#include "kernels/resize-inl.h"
#include "kernels/stem-inl.h"

namespace mnv2::kernels {

const KernelTable kNeonKernels{
    .isa = Isa::neon,
    .lanes = Vec::kLanes,
    .pointwise = pointwise,
    .linear = linear,
    .depthwise = depthwise,
    .stem = stem,
    .sum_pixels = sum_pixels,
    .fma_peak = fma_peak,
    .resize = kResizeKernels,
};

}  // namespace mnv2::kernels
