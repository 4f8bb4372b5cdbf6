// Finishes sums that were cut in two.
#pragma once

#include "kernels/contracts.h"
#include "kernels/f32/tile-inl.h"

namespace {

using mnv2::kernels::MergeArgs;

template <typename Byte>
MNV2_INLINE Byte* pixel_of(const mnv2::kernels::BasicView<Byte>& view, int block, int pixel) {
  return view.data + block * view.block_stride +
         (view.offsets != nullptr ? view.offsets[pixel] : std::ptrdiff_t{pixel} * kBlockBytes);
}

void merge(const MergeArgs& a) noexcept {
  const Vec lo = Vec::set(a.epilogue.clamp_min);
  const Vec hi = Vec::set(a.epilogue.clamp_max);
  for (int n = 0; n < a.blocks; ++n) {
    std::ptrdiff_t at = n * a.sums_block_stride;
    for (int p = 0; p < a.pixels; ++p, at += kBlockBytes) {
      Vec sum = clamp(add(load(a.sums[0] + at), load(a.sums[1] + at)), lo, hi);
      if (a.epilogue.residual.data != nullptr) sum = add(sum, load(pixel_of(a.epilogue.residual, n, p)));
      store(sum, pixel_of(a.output, n, p));
    }
  }
}

}  // namespace
