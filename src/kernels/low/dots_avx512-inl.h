// Products of several channels at once by AVX-512's own instructions: two bfloat16s (AVX512_BF16) or four bytes
// (AVX512_VNNI). In assembly: the compiler's intrinsics would want these features for the whole file, which CPUs without
// them run, too.
#pragma once

#include "kernels/low/int8-inl.h"

namespace {

/// The four bytes at p in all lanes.
MNV2_INLINE __m512i broadcast_group(const std::byte* p) {
  int group;
  std::memcpy(&group, p, sizeof(group));
  return _mm512_set1_epi32(group);
}

/// Each lane's two bfloat16s of a and of b: the products are added to the float32 in c, one after the other, each rounded;
/// denormals are zeros (Intel's manual, volume 2, VDPBF16PS).
struct Bf16Product {
  using Sum = Vec;
  using Weights = __m512i;
  static constexpr int kChannels = 2;

  static Vec zero() { return Vec::set(0); }
  MNV2_INLINE Bf16Product(const MatmulArgs& a, int pixel)
      : bias_(a.bias),
        groups_(a.prepared.data + std::ptrdiff_t{a.prepared.first + pixel} * kBlockBytes),
        weights_(a.weights) {}
  MNV2_INLINE const std::byte* groups() const { return groups_; }
  MNV2_INLINE const std::byte* weights() const { return weights_; }
  MNV2_INLINE Sum start(int n) const { return Vec::load(bias_ + n * V); }
  MNV2_INLINE static Weights load_weights(const std::byte* p) { return _mm512_loadu_si512(p); }
  template <int N>
  MNV2_INLINE static void multiply(const std::byte* x, const Weights (&weight)[N], Vec (&sum)[N]) {
    const __m512i value = broadcast_group(x);
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum[n].v) : "v"(value), "v"(weight[n]));
  }
  template <int M, int N>
  MNV2_INLINE void finish(const Vec (&sum)[M][N], Vec (&acc)[M][N]) const {
#pragma GCC unroll 28
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) acc[m][n] = sum[m][n];
  }

 private:
  const float* bias_;
  const std::byte* groups_;
  const std::byte* weights_;
};

/// All of a, then of b, to the nearest bfloat16, halves to even.
MNV2_INLINE __m512i narrow_to_bf16(Vec a, Vec b) {
  __m512i r;
  __asm__("vcvtne2ps2bf16 %1, %2, %0" : "=v"(r) : "v"(a.v), "v"(b.v));
  return r;
}

/// prepared: [ceil(in_c / 2 V)][pixels][2 V] bfloat16s.
void prepare_bf16_dots(const PrepareArgs& a) noexcept {
  const int blocks = (a.in_c + V - 1) / V;
  const std::byte* low = a.input;
  std::byte* to = a.prepared + std::ptrdiff_t{a.first} * kBlockBytes;
  for (int b = 0; b < blocks; b += 2) {
    const std::byte* const high = low + a.input_block_stride;
    for (std::ptrdiff_t p = 0; p < std::ptrdiff_t{a.pixels} * kBlockBytes; p += kBlockBytes)
      _mm512_storeu_si512(to + p,
                          narrow_to_bf16(load(low + p), b + 1 < blocks ? load(high + p) : Vec::set(0)));
    low = high + a.input_block_stride;
    to += std::ptrdiff_t{a.run_pixels} * kBlockBytes;
  }
}

std::size_t weights_bytes_bf16_dots(int in_c, int halves) noexcept {
  return static_cast<std::size_t>((halves + 1) / 2) * groups_of<Bf16Product>(in_c) * kBlockBytes;
}

void pack_bf16_dots(const PackArgs& a) noexcept { mnv2::kernels::pack_bf16_pairs(a, V); }

/// weights: [ceil(in_c / 2)][vectors * V] pairs of bfloat16s.
constexpr mnv2::kernels::PanelFormat kBf16DotsFormat{.name = "bf16-dots",
                                                     .precision = mnv2::Precision::bfloat16,
                                                     .needs = mnv2::kAvx512Bf16,
                                                     .input = mnv2::kernels::Element::f32,
                                                     .weight = mnv2::kernels::Element::bf16,
                                                     .halves = 1u << 2 | 1u << 4,
                                                     .min_in_c = 1,
                                                     .cancels = false,
                                                     .prepares = true,
                                                     .prepared_bytes = prepared_group_bytes<Bf16Product>,
                                                     .weights_bytes = weights_bytes_bf16_dots,
                                                     .pack = pack_bf16_dots,
                                                     .prepare = prepare_bf16_dots,
                                                     .multiply = multiply_groups<Bf16Product>,
                                                     .peak = peak_of_groups<Bf16Product>};

/// Unsigned bytes by signed ones: signed inputs are stored 128 higher.
struct BytesProduct : QuantisedProduct {
  using QuantisedProduct::QuantisedProduct;
  using Weights = __m512i;
  static constexpr int kChannels = 4;
  static constexpr int kZero = 128;

  MNV2_INLINE static Weights load_weights(const std::byte* p) { return _mm512_loadu_si512(p); }
  template <int N>
  MNV2_INLINE static void multiply(const std::byte* x, const Weights (&weight)[N], Ints (&sum)[N]) {
    const __m512i value = broadcast_group(x);
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum[n].v) : "v"(value), "v"(weight[n]));
  }
};

/// The largest lane of each of V vectors.
template <int kVectors>
MNV2_INLINE void largest_of_each(Vec* largest) {
#pragma GCC unroll 8
  for (int i = 0; i < kVectors / 2; ++i) largest[i] = max_pairs(largest[2 * i], largest[2 * i + 1]);
  if constexpr (kVectors > 2) largest_of_each<kVectors / 2>(largest);
}

MNV2_INLINE Vec magnitude(Vec x) { return {_mm512_abs_ps(x.v)}; }

/// The scales of `count` pixels, at most V, and the steps in 1 of each; as PixelScale.
MNV2_INLINE void scales_of_pixels(const PixelInputs& inputs, int pixel, int count, float levels,
                                  float* scales, float* inverses) {
  Vec largest[V];
#pragma GCC unroll 16
  for (int p = 0; p < V; ++p) largest[p] = Vec::set(0);
  for (int b = 0; b < inputs.blocks(); ++b) {
#pragma GCC unroll 16
    for (int p = 0; p < V; ++p)
      // What is after the last pixel is read as that pixel.
      largest[p] = max(largest[p], magnitude(inputs.load_block(b, pixel + (p < count ? p : count - 1))));
  }
  largest_of_each<V>(largest);
  const Vec all = Vec::set(levels);
  const __m512 steps = _mm512_div_ps(all.v, largest[0].v);
  const __mmask16 finite = _mm512_cmp_ps_mask(steps, _mm512_set1_ps(3.0e38f), _CMP_LE_OQ);
  _mm512_storeu_ps(inverses, _mm512_maskz_mov_ps(finite, steps));
  const auto there = static_cast<__mmask16>((1u << count) - 1);
  _mm512_mask_storeu_ps(scales, there, _mm512_div_ps(largest[0].v, all.v));
}

/// prepared: [pixels] scales, then [ceil(in_c / 4 V)][pixels][4 V] bytes.
void prepare_bytes(const PrepareArgs& a) noexcept {
  const PixelInputs inputs(a);
  const float levels = levels_of(a);
  const Ints zero = Ints::set(a.is_signed ? BytesProduct::kZero : 0);
  float* const scales = floats(a.prepared) + a.first;
  std::byte* const groups = a.prepared + scales_bytes(a.run_pixels) + std::ptrdiff_t{a.first} * kBlockBytes;
  alignas(64) float inverses[V];
  for (int first = 0; first < a.pixels; first += V) {
    const int count = a.pixels - first < V ? a.pixels - first : V;
    scales_of_pixels(inputs, first, count, levels, scales + first, inverses);
    std::byte* to = groups + std::ptrdiff_t{first} * kBlockBytes;
    for (int b = 0; b < inputs.blocks(); b += 4, to += std::ptrdiff_t{a.run_pixels} * kBlockBytes) {
      for (int p = 0; p < count; ++p) {
        const Vec inverse = Vec::set(inverses[p]);
        Ints q[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i)
          q[i] = b + i < inputs.blocks()
                     ? add(round_to_ints(mul(inputs.load_block(b + i, first + p), inverse)), zero)
                     : zero;
        in_order(narrow(q[0], q[1], q[2], q[3])).store(reinterpret_cast<std::uint8_t*>(to + p * kBlockBytes));
      }
    }
  }
}

constexpr mnv2::kernels::PanelFormat kInt8DotsFormat =
    int8_format<BytesProduct>("int8-dots", mnv2::kAvx512Vnni, prepare_bytes);

}  // namespace
