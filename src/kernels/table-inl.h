// All kernels, and the table that names them: what a translation unit compiles for its instruction set. Included once,
// after a simd_*.h.
#pragma once

#include "kernels/add-inl.h"
#include "kernels/depthwise-inl.h"
#include "kernels/fma_peak-inl.h"
#include "kernels/halves-inl.h"
#include "kernels/kernels.h"
#include "kernels/pointwise-inl.h"
#include "kernels/pooling-inl.h"
#include "kernels/resize-inl.h"
#include "kernels/stem-inl.h"

namespace {

constexpr mnv2::kernels::KernelTable make_table(mnv2::Isa isa) {
  return {
      .isa = isa,
      .lanes = V,
      .pointwise = pointwise,
      .pointwise_halves = pointwise_halves,
      .pointwise_pairs = nullptr,
      .pair_products = nullptr,
      .add_partial = add_partial,
      .linear = linear,
      .depthwise = depthwise,
      .stem = stem,
      .sum_pixels = sum_pixels,
      .fma_peak = fma_peak,
      .resize = kResizeKernels,
  };
}

}  // namespace
