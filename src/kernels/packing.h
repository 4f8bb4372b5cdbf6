// Packing: from PyTorch's weight order to the panels that the kernels stream through.
#pragma once

#include <span>

namespace mnv2::kernels {

/// Rows and columns of a weight matrix [out_c][in_c] (a 1x1 convolution or a fully connected layer) that make a panel.
struct PanelRange {
  int first_out = 0;  // the panel's first output channel; those at or above out_c are packed as zeros
  int outs = 0;       // output channels of the panel, vectors * V
  int first_in = 0;
  int ins = 0;
};

/// panel[c][n] = weight[first_out + n][first_in + c]; panel: [ins][outs].
void pack_panel(std::span<const float> weight, int out_c, int in_c, const PanelRange& range, float* panel);

/// For pointwise_halves: half vectors of lanes / 2 outputs, range.outs in all.
/// panel[i][h][2 j + k] = weight[first_out + h * lanes / 2 + j][first_in + 2 i + k], zero where there is no
/// such output or input; panel: [ceil(ins / 2)][outs / (lanes / 2)][lanes].
void pack_halves(std::span<const float> weight, int out_c, int in_c, const PanelRange& range, int lanes,
                 float* panel);

/// The bias of the same outputs, zeros at or above out_c; packed: [outs].
void pack_bias(std::span<const float> bias, int first_out, int outs, float* packed);

/// bias[n] -= sum over the pairs of pointwise_pairs of panel[c][n] * panel[c + 1][n]: what that kernel leaves out.
/// panel: [ins][outs] as packed, bias: [outs].
void subtract_pair_products(const float* panel, int ins, int outs, int lanes, float* bias);

/// Ten vectors for one block of `lanes` channels from first_channel: nine taps, then the bias; zeros at or above the
/// layer's channels. weight: [channels][9], bias: [channels], packed: [10][lanes].
void pack_depthwise(std::span<const float> weight, std::span<const float> bias, int first_channel, int lanes,
                    float* packed);

}  // namespace mnv2::kernels
