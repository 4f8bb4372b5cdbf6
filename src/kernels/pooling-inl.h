// Sums over pixels, for global average pooling.
#pragma once

#include "kernels/tile-inl.h"

namespace {

void sum_pixels(const float* input, int pixels, float* sum) noexcept {
  Vec acc = Vec::set(0.0f);
  for (int p = 0; p < pixels; ++p) acc = add(acc, Vec::load(input + std::ptrdiff_t{p} * V));
  acc.store(sum);
}

}  // namespace
