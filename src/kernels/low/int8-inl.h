// Pointwise convolution in 8 bits. The range of the inputs is each pixel's own:
//   scale[p] = max over c of |input[p][c]| / levels, q[p][c] = input[p][c] / scale[p] to the nearest, halves to even
//   output[p][n] = (sum over c of q[p][c] * w[c][n]) * (scale[p] * scale[n]) + bias[n]
// with 127 levels where inputs may be negative and 255 where they cannot be; weights as kernels/low/quantise.h says. The sums are of
// integers, and all else is one float operation after the other: so every format here and every instruction set gives the
// same bits.
#pragma once

#include "kernels/low/groups-inl.h"
#include "kernels/low/quantise.h"

namespace {

/// What is prepared begins with the pixels' scales, in whole cache lines.
MNV2_INLINE std::ptrdiff_t scales_bytes(int pixels) {
  return (std::ptrdiff_t{pixels} * kFloatBytes + 63) / 64 * 64;
}

/// What a panel begins with: its outputs' scales, and what their sums begin with.
constexpr int kRowHeadBytes = 2 * kFloatBytes;

template <typename Product>
std::size_t prepared_bytes_int8(int in_c, int pixels) noexcept {
  return static_cast<std::size_t>(scales_bytes(pixels)) + prepared_group_bytes<Product>(in_c, pixels);
}

template <typename Product>
std::size_t weights_bytes_int8(int in_c, int halves) noexcept {
  const int vectors = (halves + 1) / 2;
  return static_cast<std::size_t>(vectors) * (kRowHeadBytes * V + groups_of<Product>(in_c) * kBlockBytes);
}

template <typename Product>
void pack_int8(const PackArgs& a) noexcept {
  mnv2::kernels::pack_int8(a, {.lanes = V,
                               .channels = Product::kChannels,
                               .weight_bytes = kGroupBytes / Product::kChannels,
                               .zero = Product::kZero});
}

/// What all products of quantised inputs and weights share.
struct QuantisedProduct {
  using Sum = Ints;

  static Ints zero() { return Ints::set(0); }
  MNV2_INLINE QuantisedProduct(const MatmulArgs& a, int pixel)
      : bias_(a.bias), head_(floats(a.weights)), outs_(a.vectors * V) {
    const int first = a.prepared.first + pixel;
    scale_ = floats(a.prepared.data) + first;
    groups_ = a.prepared.data + scales_bytes(a.prepared.pixels) + std::ptrdiff_t{first} * kBlockBytes;
  }
  MNV2_INLINE const std::byte* groups() const { return groups_; }
  MNV2_INLINE const std::byte* weights() const {
    return reinterpret_cast<const std::byte*>(head_ + 2 * outs_);
  }
  MNV2_INLINE Sum start(int n) const {
    return Ints::load(reinterpret_cast<const std::int32_t*>(head_ + outs_) + n * V);
  }
  template <int M, int N>
  MNV2_INLINE void finish(const Ints (&sum)[M][N], Vec (&acc)[M][N]) const {
    Vec scale[N], bias[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      scale[n] = Vec::load(head_ + n * V);
      bias[n] = Vec::load(bias_ + n * V);
    }
#pragma GCC unroll 28
    for (int m = 0; m < M; ++m) {
      const Vec pixel = Vec::set(scale_[m]);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) acc[m][n] = add(mul(to_floats(sum[m][n]), mul(pixel, scale[n])), bias[n]);
    }
  }

 private:
  const float* bias_;
  const float* head_;
  const float* scale_;
  const std::byte* groups_;
  int outs_;
};

/// Pairs of 16 bits, which hold either range and need no correction: every instruction set multiplies and adds two such.
struct WordsProduct : QuantisedProduct {
  using QuantisedProduct::QuantisedProduct;
  using Weights = Words;
  static constexpr int kChannels = 2;
  static constexpr int kZero = 0;

  static Words load_weights(const std::byte* p) {
    return Words::load(reinterpret_cast<const std::int16_t*>(p));
  }
  template <int N>
  MNV2_INLINE static void multiply(const std::byte* x, const Words (&weight)[N], Ints (&sum)[N]) {
    const Words value = Words::broadcast_pair(reinterpret_cast<const std::int16_t*>(x));
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) sum[n] = add(sum[n], dot(value, weight[n]));
  }
};

/// 1 in the lanes that hold channels of the last block, 0 in those that pad it.
MNV2_INLINE Vec channels_of_last_block(int in_c) {
  alignas(64) float lanes[V];
  for (int l = 0; l < V; ++l) lanes[l] = (in_c - 1) % V >= l ? 1.0f : 0.0f;
  return Vec::load(lanes);
}

/// The inputs of one pixel, a block after the other; what pads the last block is zero.
class PixelInputs {
 public:
  MNV2_INLINE explicit PixelInputs(const PrepareArgs& a)
      : a_(a), blocks_((a.in_c + V - 1) / V), last_(channels_of_last_block(a.in_c)) {}

  MNV2_INLINE int blocks() const { return blocks_; }
  MNV2_INLINE Vec load_block(int block, int pixel) const {
    const Vec x = load(a_.input + block * a_.input_block_stride + std::ptrdiff_t{pixel} * kBlockBytes);
    return block == blocks_ - 1 ? mul(x, last_) : x;
  }

 private:
  const PrepareArgs& a_;
  int blocks_;
  Vec last_;
};

/// How a pixel's inputs are quantised.
struct PixelScale {
  float scale = 0;    // of a step
  float inverse = 0;  // steps in 1

  /// Of a pixel whose largest magnitude is `largest`.
  MNV2_INLINE PixelScale(float largest, float levels) : scale(largest / levels) {
    const float steps = levels / largest;
    // All zero, or nearly: nothing is left of them.
    inverse = steps <= 3.0e38f ? steps : 0.0f;
  }
};

MNV2_INLINE float levels_of(const PrepareArgs& a) { return a.is_signed ? 127.0f : 255.0f; }

MNV2_INLINE PixelScale scale_of_pixel(const PixelInputs& inputs, int pixel, float levels) {
  Vec largest = Vec::set(0);
  for (int b = 0; b < inputs.blocks(); ++b) {
    const Vec x = inputs.load_block(b, pixel);
    largest = max(largest, max(x, sub(Vec::set(0), x)));
  }
  return {largest_lane(largest), levels};
}

/// prepared: [pixels] scales, then [ceil(in_c / 2 V)][pixels][2 V] words.
void prepare_words(const PrepareArgs& a) noexcept {
  const PixelInputs inputs(a);
  const float levels = levels_of(a);
  float* const scales = floats(a.prepared) + a.first;
  for (int p = 0; p < a.pixels; ++p) {
    const PixelScale scale = scale_of_pixel(inputs, p, levels);
    scales[p] = scale.scale;
    const Vec inverse = Vec::set(scale.inverse);
    std::byte* to = a.prepared + scales_bytes(a.run_pixels) + std::ptrdiff_t{a.first + p} * kBlockBytes;
    for (int b = 0; b < inputs.blocks(); b += 2, to += std::ptrdiff_t{a.run_pixels} * kBlockBytes) {
      const Ints low = round_to_ints(mul(inputs.load_block(b, p), inverse));
      const Ints high =
          b + 1 < inputs.blocks() ? round_to_ints(mul(inputs.load_block(b + 1, p), inverse)) : Ints::set(0);
      narrow(low, high).store(reinterpret_cast<std::int16_t*>(to));
    }
  }
}

/// Its row: what differs is the product, what prepares for it, and what it needs of the CPU.
template <typename Product>
constexpr mnv2::kernels::PanelFormat int8_format(const char* name, mnv2::CpuFeatures needs,
                                                 void (*prepare)(const PrepareArgs&) noexcept) {
  return {.name = name,
          .precision = mnv2::Precision::int8,
          .needs = needs,
          .input = mnv2::kernels::Element::f32,
          .weight = mnv2::kernels::Element::s8,
          .halves = 1u << 2 | 1u << 4,
          .min_in_c = 1,
          .cancels = false,
          .prepares = true,
          .prepared_bytes = prepared_bytes_int8<Product>,
          .weights_bytes = weights_bytes_int8<Product>,
          .pack = pack_int8<Product>,
          .prepare = prepare,
          .multiply = multiply_groups<Product>,
          .peak = peak_of_groups<Product>};
}

constexpr mnv2::kernels::PanelFormat kInt8Format = int8_format<WordsProduct>("int8", {}, prepare_words);

}  // namespace
