// Panels of weights in 8 bits: each output channel by the largest of its weights.
#pragma once

#include <cstdint>

#include "kernels/formats.h"

namespace mnv2::kernels {

/// How a format holds a panel.
struct Int8Panel {
  int lanes = 0;         // V, floats of a vector
  int channels = 0;      // inputs that are neighbours, of each output
  int weight_bytes = 0;  // 1 or 2
  int zero = 0;          // what the format adds to signed inputs, and the starts take away again
};

/// For each output n of the panel:
///   scale[n] = max over c of |weight[n][c]| / 127 (all zero: 0)
///   value[n][c] = weight[n][c] / scale[n] to the nearest, halves to even, within +-127
///   start[n] = -zero * sum over c of value[n][c], zero only where inputs are signed
///   bias[n] = layer_bias[n] + sum over c of (weight[n][c] - scale[n] * value[n][c]) * input_mean[c]
/// so that on average the rounding of the weights changes no output. args.weights: f32 scale [outs], s32 start [outs],
/// then value [ceil(in_c / channels)][outs][channels], outs: whole vectors; args.bias: [outs].
void pack_int8(const PackArgs& args, const Int8Panel& panel) noexcept;

}  // namespace mnv2::kernels
