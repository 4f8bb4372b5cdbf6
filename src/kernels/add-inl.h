// Adds partial sums of a projection.
#pragma once

#include "kernels/kernels.h"
#include "kernels/tile-inl.h"

namespace {

using mnv2::kernels::AddArgs;

MNV2_INLINE std::ptrdiff_t pixel_offset(const mnv2::kernels::PixelMap& map, int pixel) {
  return map.offsets != nullptr ? map.offsets[pixel] : std::ptrdiff_t{pixel} * V;
}

void add_partial(const AddArgs& a) noexcept {
  const Vec lo = Vec::set(a.clamp_min);
  const Vec hi = Vec::set(a.clamp_max);
  for (int n = 0; n < a.vectors; ++n) {
    float* output = a.output.data + n * a.output.block_stride;
    const float* partial = a.partial + n * a.partial_block_stride;
    const float* residual = a.residual.data + n * a.residual.block_stride;
    for (int p = 0; p < a.pixels; ++p) {
      float* at = output + pixel_offset(a.output, p);
      Vec sum = clamp(add(Vec::load(at), Vec::load(partial + std::ptrdiff_t{p} * V)), lo, hi);
      if (a.residual.data != nullptr) sum = add(sum, Vec::load(residual + pixel_offset(a.residual, p)));
      sum.store(at);
    }
  }
}

}  // namespace
