#include "kernels/packing.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace mnv2::kernels {

namespace {

/// target[j][i] = source[i][j] of 4 x 4 floats whose rows are source_row and target_row floats apart.
void transpose_4x4(const float* source, std::size_t source_row, float* target, std::size_t target_row) {
#if defined(__SSE__)
  __m128 a = _mm_loadu_ps(source), b = _mm_loadu_ps(source + source_row);
  __m128 c = _mm_loadu_ps(source + 2 * source_row), d = _mm_loadu_ps(source + 3 * source_row);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(target, a);
  _mm_storeu_ps(target + target_row, b);
  _mm_storeu_ps(target + 2 * target_row, c);
  _mm_storeu_ps(target + 3 * target_row, d);
#else
  for (std::size_t j = 0; j < 4; ++j)
    for (std::size_t i = 0; i < 4; ++i) target[j * target_row + i] = source[i * source_row + j];
#endif
}

/// target[j][i] = source[i][j], i < rows and j < columns.
void transpose(const float* source, std::size_t source_row, int rows, int columns, float* target,
               std::size_t target_row) {
  int i = 0;
  for (; i + 4 <= rows; i += 4) {
    const float* from = source + i * source_row;
    int j = 0;
    for (; j + 4 <= columns; j += 4)
      transpose_4x4(from + j, source_row, target + j * target_row + i, target_row);
    for (; j < columns; ++j)
      for (int r = 0; r < 4; ++r) target[j * target_row + i + r] = from[r * source_row + j];
  }
  for (; i < rows; ++i)
    for (int j = 0; j < columns; ++j) target[j * target_row + i] = source[i * source_row + j];
}

/// The bias of a panel's outputs, zeros above the last one.
void pack_bias(const PackArgs& a, int outs) noexcept {
  const int real = std::clamp(a.out_c - a.first_out, 0, outs);
  for (int n = 0; n < real; ++n) a.bias[n] = a.layer_bias[a.first_out + n] * a.bias_scale;
  std::fill(a.bias + real, a.bias + outs, 0.0f);
}

/// Halves to even.
std::uint16_t nearest_bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void multiply(float* values, std::size_t count, float factor) noexcept {
  if (factor == 1) return;
  for (std::size_t i = 0; i < count; ++i) values[i] *= factor;
}

}  // namespace

void pack_columns(const PackArgs& a, int outs, float* panel) noexcept {
  // Cache lines are read and written whole: rows of 1280 or 960 channels lie (nearly) a multiple of 1 KB apart, so that
  // the lines of a panel's 32 to 128 rows would drive each other out of the few places that the cache has for them.
  constexpr int kTile = 16;
  const int real = std::clamp(a.out_c - a.first_out, 0, outs);
  const std::size_t row = a.row;
  const float* first = a.weight + a.first_out * row + a.first_in;
  for (int c = 0; c < a.in_c; c += kTile)
    for (int n = 0; n < real; n += kTile)
      transpose(first + n * row + c, row, std::min(kTile, real - n), std::min(kTile, a.in_c - c),
                panel + std::size_t(c) * outs + n, outs);
  if (real == outs) return;
  for (int c = 0; c < a.in_c; ++c)
    std::fill(panel + std::size_t(c) * outs + real, panel + std::size_t(c + 1) * outs, 0.0f);
}

void pack_panel(const PackArgs& a, int lanes) noexcept {
  const int outs = (a.halves + 1) / 2 * lanes;
  float* const panel = reinterpret_cast<float*>(a.weights);
  pack_columns(a, outs, panel);
  multiply(panel, std::size_t(outs) * a.in_c, a.weight_scale);
  pack_bias(a, outs);
}

void pack_halves(const PackArgs& a, int lanes) noexcept {
  float* panel = reinterpret_cast<float*>(a.weights);
  const int half = lanes / 2;
  for (int c = 0; c < a.in_c; c += 2) {
    for (int first = a.first_out; first < a.first_out + a.halves * half; first += half) {
      for (int l = 0; l < lanes; ++l) {
        const int out = first + l / 2, in = c + l % 2;
        const bool there = out < a.out_c && in < a.in_c;
        *panel++ = there ? a.weight[std::size_t(out) * a.row + a.first_in + in] * a.weight_scale : 0.0f;
      }
    }
  }
  pack_bias(a, (a.halves + 1) / 2 * lanes);
}

void pack_bf16_pairs(const PackArgs& a, int lanes) noexcept {
  const int outs = (a.halves + 1) / 2 * lanes;
  auto* panel = reinterpret_cast<std::uint16_t*>(a.weights);
  for (int c = 0; c < a.in_c; c += 2) {
    for (int n = 0; n < outs; ++n) {
      for (int k = 0; k < 2; ++k) {
        const int out = a.first_out + n, in = c + k;
        const bool there = out < a.out_c && in < a.in_c;
        *panel++ = there ? nearest_bf16(a.weight[std::size_t(out) * a.row + a.first_in + in]) : 0;
      }
    }
  }
  pack_bias(a, outs);
}

void subtract_pair_products(const float* panel, int in_c, int outs, int lanes, float* bias) noexcept {
  double sums[kMaxPanelVectors * kMaxLanes] = {};
  for (int left = channels_in_pairs(in_c); left > 0; left -= lanes) {
    const int channels = std::min(left, lanes);
    for (int i = 0; i < pairs_in_block(channels); ++i)
      for (int n = 0; n < outs; ++n)
        sums[n] += static_cast<double>(panel[2 * i * outs + n]) * panel[(2 * i + 1) * outs + n];
    panel += std::ptrdiff_t{channels} * outs;
  }
  for (int n = 0; n < outs; ++n) bias[n] = static_cast<float>(bias[n] - sums[n]);
}

void pack_depthwise(const PackDepthwiseArgs& a, int lanes, float* packed) noexcept {
  const int real = std::clamp(a.channels - a.first_channel, 0, lanes);
  for (int l = 0; l < lanes; ++l) {
    const std::size_t channel = std::size_t(a.first_channel) + l;
    for (int tap = 0; tap < 9; ++tap)
      packed[tap * lanes + l] = l < real ? a.weight[channel * 9 + tap] * a.weight_scale : 0.0f;
    packed[9 * lanes + l] = l < real ? a.bias[channel] * a.bias_scale : 0.0f;
  }
}

}  // namespace mnv2::kernels
