#include "kernels/packing.h"

#include <algorithm>
#include <cstddef>

namespace mnv2::kernels {

void pack_panel(std::span<const float> weight, int out_c, int in_c, const PanelRange& range, float* panel) {
  const int real = std::clamp(out_c - range.first_out, 0, range.outs);
  const float* source = weight.data() + std::size_t(range.first_out) * in_c + range.first_in;
  for (int c = 0; c < range.ins; ++c, panel += range.outs) {
    for (int n = 0; n < real; ++n) panel[n] = source[std::size_t(n) * in_c + c];
    std::fill(panel + real, panel + range.outs, 0.0f);
  }
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
