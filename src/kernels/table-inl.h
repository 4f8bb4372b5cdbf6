// All kernels, and the table that names them: what a translation unit compiles for its instruction set. Included once,
// after a simd_*.h.
#pragma once

#include "kernels/contracts.h"
#include "kernels/f32/depthwise-inl.h"
#include "kernels/f32/halves-inl.h"
#include "kernels/f32/merge-inl.h"
#include "kernels/f32/pointwise-inl.h"
#include "kernels/f32/pooling-inl.h"
#include "kernels/f32/stem-inl.h"
#include "kernels/low/bf16-inl.h"
#include "kernels/low/int8-inl.h"
#include "kernels/pixels/resize-inl.h"

namespace {

/// What every instruction set can do; the first row that takes a panel is chosen.
constexpr mnv2::kernels::PanelFormat kFormats[] = {kF32HalvesFormat, kF32Format, kBf16Format, kInt8Format};

template <int kCount>
constexpr mnv2::kernels::KernelTable make_table(mnv2::Isa isa, mnv2::Precision quickest,
                                                const mnv2::kernels::PanelFormat (&formats)[kCount]) {
  return {.isa = isa,
          .block_bytes = kBlockBytes,
          .quickest = quickest,
          .formats = {formats, kCount},
          .merge = merge,
          .linear = linear,
          .depthwise = depthwise,
          .stem = stem,
          .depthwise_fused = depthwise_fused,
          .stem_fused = stem_fused,
          .round_to_bf16 = round_floats_to_bf16,
          .sum_pixels = sum_pixels,
          .resize = kResizeKernels};
}

}  // namespace
