#include "kernels/packing.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "kernels/kernels.h"

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

}  // namespace

void pack_panel(std::span<const float> weight, int out_c, int in_c, const PanelRange& range, float* panel) {
  // Cache lines are read and written whole: rows of 1280 or 960 channels lie (nearly) a multiple of 1 KB apart, so that
  // the lines of a panel's 32 to 128 rows would drive each other out of the few places that the cache has for them.
  constexpr int kTile = 16;
  const int real = std::clamp(out_c - range.first_out, 0, range.outs);
  const std::size_t row = in_c, outs = range.outs;
  const float* first = weight.data() + range.first_out * row + range.first_in;
  for (int c = 0; c < range.ins; c += kTile)
    for (int n = 0; n < real; n += kTile)
      transpose(first + n * row + c, row, std::min(kTile, real - n), std::min(kTile, range.ins - c),
                panel + c * outs + n, outs);
  if (real == range.outs) return;
  for (int c = 0; c < range.ins; ++c) std::fill(panel + c * outs + real, panel + (c + 1) * outs, 0.0f);
}

void pack_halves(std::span<const float> weight, int out_c, int in_c, const PanelRange& range, int lanes,
                 float* panel) {
  const int half = lanes / 2;
  for (int c = 0; c < range.ins; c += 2) {
    for (int first = range.first_out; first < range.first_out + range.outs; first += half) {
      for (int l = 0; l < lanes; ++l) {
        const int out = first + l / 2, in = c + l % 2;
        *panel++ =
            out < out_c && in < range.ins ? weight[std::size_t(out) * in_c + range.first_in + in] : 0.0f;
      }
    }
  }
}

void pack_bias(std::span<const float> bias, int first_out, int outs, float* packed) {
  const int real = std::clamp(static_cast<int>(bias.size()) - first_out, 0, outs);
  std::copy_n(bias.data() + (real > 0 ? first_out : 0), real, packed);
  std::fill(packed + real, packed + outs, 0.0f);
}

void subtract_pair_products(const float* panel, int ins, int outs, int lanes, float* bias) {
  std::vector<double> sums(outs, 0.0);
  for (int left = channels_in_pairs(ins); left > 0; left -= lanes) {
    const int channels = std::min(left, lanes);
    for (int i = 0; i < pairs_in_block(channels); ++i)
      for (int n = 0; n < outs; ++n)
        sums[n] += static_cast<double>(panel[2 * i * outs + n]) * panel[(2 * i + 1) * outs + n];
    panel += std::ptrdiff_t{channels} * outs;
  }
  for (int n = 0; n < outs; ++n) bias[n] = static_cast<float>(bias[n] - sums[n]);
}

void pack_depthwise(std::span<const float> weight, std::span<const float> bias, int first_channel, int lanes,
                    float* packed) {
  const int real = std::clamp(static_cast<int>(bias.size()) - first_channel, 0, lanes);
  for (int l = 0; l < lanes; ++l) {
    const std::size_t channel = std::size_t(first_channel) + l;
    for (int tap = 0; tap < 9; ++tap) packed[tap * lanes + l] = l < real ? weight[channel * 9 + tap] : 0.0f;
    packed[9 * lanes + l] = l < real ? bias[channel] : 0.0f;
  }
}

}  // namespace mnv2::kernels
