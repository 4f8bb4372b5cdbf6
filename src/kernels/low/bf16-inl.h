// Pointwise convolution in bfloat16 where the CPU has no products of them: inputs and weights are rounded to what
// bfloat16 can hold, and multiplied as float32.
#pragma once

#include "kernels/f32/pointwise-inl.h"

namespace {

std::size_t prepared_bytes_bf16(int in_c, int pixels) noexcept {
  return static_cast<std::size_t>((in_c + V - 1) / V) * pixels * kBlockBytes;
}

/// prepared: [ceil(in_c / V)][pixels][V], the inputs rounded.
void prepare_bf16(const PrepareArgs& a) noexcept {
  std::byte* to = a.prepared + std::ptrdiff_t{a.first} * kBlockBytes;
  const std::byte* block = a.input;
  for (int c = 0; c < a.in_c;
       c += V, block += a.input_block_stride, to += std::ptrdiff_t{a.run_pixels} * kBlockBytes)
    for (int p = 0; p < a.pixels; ++p)
      store(round_to_bf16(load(block + std::ptrdiff_t{p} * kBlockBytes)),
            to + std::ptrdiff_t{p} * kBlockBytes);
}

void round_floats_to_bf16(const float* input, float* output, std::ptrdiff_t count) noexcept {
  std::ptrdiff_t i = 0;
  for (; i + V <= count; i += V) round_to_bf16(Vec::load(input + i)).store(output + i);
  for (; i < count; ++i) {
    float lanes[V] = {input[i]};
    round_to_bf16(Vec::load(lanes)).store(lanes);
    output[i] = lanes[0];
  }
}

void multiply_bf16(const MatmulArgs& a) noexcept {
  MatmulArgs rounded = a;
  rounded.input = a.prepared.data + std::ptrdiff_t{a.prepared.first} * kBlockBytes;
  rounded.input_block_stride = std::ptrdiff_t{a.prepared.pixels} * kBlockBytes;
  if (a.vectors == 1)
    run_panel<VectorTiles<1, RoundedIfAsked>>(rounded);
  else
    run_panel<VectorTiles<2, RoundedIfAsked>>(rounded);
}

void pack_bf16(const PackArgs& a) noexcept {
  mnv2::kernels::pack_panel(a, V);
  std::byte* const weights = a.weights;
  const std::size_t bytes = weights_bytes_f32(a.in_c, a.halves);
  for (std::size_t i = 0; i < bytes; i += kBlockBytes) store(round_to_bf16(load(weights + i)), weights + i);
}

/// weights: as kF32Format's, rounded.
constexpr mnv2::kernels::PanelFormat kBf16Format{.name = "bf16",
                                                 .precision = mnv2::Precision::bfloat16,
                                                 .needs = {},
                                                 .input = mnv2::kernels::Element::f32,
                                                 .weight = mnv2::kernels::Element::f32,
                                                 .halves = 1u << 2 | 1u << 4,
                                                 .min_in_c = 1,
                                                 .cancels = false,
                                                 .prepares = true,
                                                 .prepared_bytes = prepared_bytes_bf16,
                                                 .weights_bytes = weights_bytes_f32,
                                                 .pack = pack_bf16,
                                                 .prepare = prepare_bf16,
                                                 .multiply = multiply_bf16,
                                                 .peak = fma_peak};

}  // namespace
