// All kernels, and the table that names them: what a translation unit compiles for its instruction set. Included once,
// after a simd_*.h.
#pragma once

#include "kernels/contracts.h"
#include "kernels/f32/depthwise-inl.h"
#include "kernels/f32/fma_peak-inl.h"
#include "kernels/f32/halves-inl.h"
#include "kernels/f32/merge-inl.h"
#include "kernels/f32/pointwise-inl.h"
#include "kernels/f32/pooling-inl.h"
#include "kernels/f32/stem-inl.h"
#include "kernels/pixels/resize-inl.h"

namespace {

/// What every instruction set can do; the first row that takes a panel is chosen.
constexpr mnv2::kernels::PanelFormat kFormats[] = {kF32HalvesFormat, kF32Format};

template <int kCount>
constexpr mnv2::kernels::KernelTable make_table(mnv2::Isa isa,
                                                const mnv2::kernels::PanelFormat (&formats)[kCount]) {
  return {.isa = isa,
          .block_bytes = kBlockBytes,
          .formats = {formats, kCount},
          .merge = merge,
          .linear = linear,
          .depthwise = depthwise,
          .stem = stem,
          .sum_pixels = sum_pixels,
          .fma_peak = fma_peak,
          .resize = kResizeKernels};
}

}  // namespace
