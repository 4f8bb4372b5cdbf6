// Packing: from PyTorch's weight order to the panels that the kernels stream through. What the formats' own `pack` is
// made of.
#pragma once

#include "kernels/formats.h"

namespace mnv2::kernels {

inline constexpr int kMaxLanes = 16;  // V of the widest vectors

/// panel[c][n] = weight[first_out + n][first_in + c], for n < outs; panel: [in_c][outs]. No scale, no bias.
void pack_columns(const PackArgs& args, int outs, float* panel) noexcept;

/// The panel of kF32Format: pack_columns with the scale, and the bias.
void pack_panel(const PackArgs& args, int lanes) noexcept;

/// The panel of kF32HalvesFormat: half vectors of lanes / 2 outputs.
/// panel[i][h][2 j + k] = weight[first_out + h * lanes / 2 + j][first_in + 2 i + k], zero where there is no
/// such output or input; panel: [ceil(in_c / 2)][halves][lanes]. And the bias.
void pack_halves(const PackArgs& args, int lanes) noexcept;

/// panel[i][n][k] = weight[first_out + n][first_in + 2 i + k] to the nearest bfloat16, halves to even; zero where there is
/// no such output or input; panel: [ceil(in_c / 2)][whole vectors of outputs][2]. And the bias.
void pack_bf16_pairs(const PackArgs& args, int lanes) noexcept;

/// kF32PairsFormat takes the first channels of a sum, all but the last one to four, block by block. Two of each three in
/// a block (of V channels; the last may have less) make a pair: channels 0 and 1, 2 and 3 and so on are the pairs, and
/// what follows them in the block stands alone. Multipliers and adders then have the same to do.
constexpr int channels_in_pairs(int in_c) { return (in_c - 1) / 4 * 4; }
constexpr int pairs_in_block(int channels) { return channels / 3; }

/// bias[n] -= sum over the pairs of panel[c][n] * panel[c + 1][n]; panel: [in_c][outs] as packed, bias: [outs], at most
/// two vectors.
void subtract_pair_products(const float* panel, int in_c, int outs, int lanes, float* bias) noexcept;

/// Ten vectors for one block of `lanes` channels from first_channel: nine taps, then the bias; zeros at or above
/// `channels`. weight: [channels][9], bias: [channels], packed: [10][lanes]. The taps are multiplied by the first power
/// of two, the bias by the second.
struct PackDepthwiseArgs {
  const float* weight = nullptr;
  const float* bias = nullptr;
  int channels = 0;
  int first_channel = 0;
  float weight_scale = 1;
  float bias_scale = 1;
};
void pack_depthwise(const PackDepthwiseArgs& args, int lanes, float* packed) noexcept;

}  // namespace mnv2::kernels
