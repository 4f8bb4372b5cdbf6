// Sums over pixels, for global average pooling.
#pragma once

#include "kernels/f32/tile-inl.h"

namespace {

void sum_pixels(const std::byte* input, int pixels, float* sum) noexcept {
  Vec acc = Vec::set(0.0f);
  for (int p = 0; p < pixels; ++p) acc = add(acc, load(input + std::ptrdiff_t{p} * kBlockBytes));
  acc.store(sum);
}

}  // namespace
