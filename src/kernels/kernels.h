// Kernels: the inner loops of the network, one table of function pointers per instruction set.
//
// V is the number of floats in a vector: 4 (portable, NEON), 8 (AVX2), 16 (AVX-512). Activations are in nChwVc: channels
// in blocks of V, [ceil(C / V)][rows][columns][V]; the channels that pad the last block hold finite numbers that nothing
// depends on. So a run of pixels of one block is contiguous, and the address of pixel p, channel lane l is
// base + (p * V + l).
// Kernels are noexcept, allocate nothing and trust their arguments: the plan (model/) is checked once, at load.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/resize.h"
#include "mnv2/isa.h"

namespace mnv2::kernels {

/// Where the pixels of a tensor in nChwVc stand: pixel p of channel block b is at
/// data + b * block_stride + (offsets ? offsets[p] : p * V).
struct PixelMap {
  float* data = nullptr;
  std::ptrdiff_t block_stride = 0;        // floats
  const std::int32_t* offsets = nullptr;  // [pixels], floats; null: contiguous
};

/// A 1x1 convolution (a matrix product) of `pixels` contiguous pixels with one panel of weights:
///   output[p][n] = min(max(start + sum over c ascending of input[p][c] * weights[c][n], clamp_min), clamp_max)
///                  + residual[p][n]
/// `start` is bias[n], or what output holds when `accumulate`. For each output the terms are added in this order, one
/// fused multiply-add each, whatever tile it falls into: so a sum may be cut into several calls, over the channels or
/// over the pixels, and keeps every bit. `residual` may be the output itself.
struct PointwiseArgs {
  const float* input = nullptr;  // [ceil(in_c / V)][input_block_stride]
  std::ptrdiff_t input_block_stride = 0;
  const float* weights = nullptr;  // [in_c][vectors * V]
  const float* bias = nullptr;     // [vectors * V]; not read when accumulate
  PixelMap output = {};            // [vectors] blocks
  PixelMap residual = {};          // no data: none
  int in_c = 0;
  int pixels = 0;
  int vectors = 0;  // of the panel: 1 or 2 (kMaxPanelVectors)
  bool accumulate = false;
  float clamp_min = 0;
  float clamp_max = 0;
  // Weights that a later call will use: fetched into the L2 cache on the way. Any address will do; null: none.
  const float* prefetch = nullptr;
  std::ptrdiff_t prefetch_floats = 0;
  const float* pair_products = nullptr;  // [pixels], of the input; read by pointwise_pairs alone
};

/// pointwise_pairs takes the first channels of a sum, all but the last one to four, block by block. Two of each three in
/// a block (of V channels; the last may have less) make a pair: channels 0 and 1, 2 and 3 and so on are the pairs, and
/// what comes behind them in the block stands alone. Multipliers and adders then have the same to do.
constexpr int channels_in_pairs(int in_c) { return (in_c - 1) / 4 * 4; }
constexpr int pairs_in_block(int channels) { return channels / 3; }

/// output[p] = sum over the pairs of pointwise_pairs of input[p][c] * input[p][c + 1].
struct PairProductsArgs {
  const float* input = nullptr;  // [ceil(in_c / V)][input_block_stride], pixels contiguous
  std::ptrdiff_t input_block_stride = 0;
  float* output = nullptr;  // [pixels]
  int in_c = 0;
  int pixels = 0;
};

/// Output channels of a panel of pointwise weights: at most this many vectors.
inline constexpr int kMaxPanelVectors = 2;

/// Where a projection's sum was cut in two: output[p][n] = min(max(output[p][n] + partial[p][n], clamp_min), clamp_max)
/// + residual[p][n].
struct AddArgs {
  PixelMap output = {};            // [vectors] blocks
  const float* partial = nullptr;  // [vectors][partial_block_stride], pixels contiguous
  std::ptrdiff_t partial_block_stride = 0;
  PixelMap residual = {};  // no data: none
  int pixels = 0;
  int vectors = 0;
  float clamp_min = 0;
  float clamp_max = 0;
};

/// A part of a fully connected layer: output[n] += sum over c ascending of input[c] * weights[c][n].
struct LinearArgs {
  const float* input = nullptr;    // [in_c]
  const float* weights = nullptr;  // [in_c][kLinearVectors * V]
  float* output = nullptr;         // [kLinearVectors * V]
  int in_c = 0;
};

/// Output vectors of a panel of fully connected weights: eight chains hide the latency of two FMA units.
inline constexpr int kLinearVectors = 8;

/// Output rows of one call of the depthwise kernel: at most this many. More share more of their input rows.
inline constexpr int kMaxDepthwiseRows = 4;

/// A 3x3 depthwise convolution of one channel block, `out_rows` (1 to 4) rows of out_w pixels. The input is a list of
/// row pointers, so padding rows cost nothing and nothing is copied: row i of the window is rows[i], (out_rows - 1) *
/// stride + 3 of them, each pointing at the first window's left column; columns that pad the image are there and zero.
struct DepthwiseArgs {
  const float* rows[(kMaxDepthwiseRows - 1) * 2 + 3] = {};  // [(out_w - 1) * stride + 3][V] each
  const float* weights = nullptr;                           // [9][V] filter taps in row order, then [V] bias
  float* output = nullptr;                                  // [out_rows][output_row_stride]
  std::ptrdiff_t output_row_stride = 0;                     // floats
  int out_rows = 0;
  int out_w = 0;
  int stride = 0;  // 1 or 2
  float clamp_min = 0;
  float clamp_max = 0;
};

/// A dense convolution of planes, one row of out_w pixels, one panel of output channels. `input` is the top left tap
/// of the first pixel in the first plane; the planes have their padding around the image. Tap i of pixel p is
/// input[tap_offsets[i] + p * stride].
struct StemArgs {
  const float* input = nullptr;
  const std::int32_t* tap_offsets = nullptr;  // [taps], floats
  const float* weights = nullptr;             // [taps][vectors * V]
  const float* bias = nullptr;                // [vectors * V]
  float* output = nullptr;                    // [vectors][output_block_stride], pixels contiguous
  std::ptrdiff_t output_block_stride = 0;
  int taps = 0;  // planes * kernel * kernel
  int out_w = 0;
  int stride = 0;   // 1 or 2
  int vectors = 0;  // 1 or 2
  float clamp_min = 0;
  float clamp_max = 0;
};

/// The kernels of one instruction set.
struct KernelTable {
  Isa isa;
  int lanes;  // V

  void (*pointwise)(const PointwiseArgs&) noexcept;

  /// As pointwise, for a panel whose last vector has outputs in its lower half alone, V / 2 at most: `vectors` 1
  /// stands for one half vector, 2 for three. weights: [ceil(in_c / 2)][half vectors][V], with the weights of
  /// input channels 2 i and 2 i + 1 in turns (pack_halves). All lanes are multiplied, where the panel in whole
  /// vectors would multiply a quarter (or half) for nothing. The sum over the even channels and the one over
  /// the odd are added up, then `start` is added: so a cut over the pixels keeps every bit, one over the
  /// channels does not.
  void (*pointwise_halves)(const PointwiseArgs&) noexcept;

  /// As pointwise, for a panel of two vectors, where additions take the place of a third of the multiplications:
  /// x0 w0 + x1 w1 = (x0 + w1) (x1 + w0) - x0 x1 - w0 w1. The products of the input are given (pair_products), those
  /// of the weights are left out: the bias that begins a sum must hold those of all calls that add to it
  /// (subtract_pair_products). Pairs and single channels take turns, so the order is not that of the channels, and
  /// the last bits differ from pointwise's. A cut over the pixels keeps every bit, one over the channels does not.
  /// Null: not for this instruction set.
  void (*pointwise_pairs)(const PointwiseArgs&) noexcept;
  void (*pair_products)(const PairProductsArgs&) noexcept;  // null with pointwise_pairs

  void (*add_partial)(const AddArgs&) noexcept;
  void (*linear)(const LinearArgs&) noexcept;
  void (*depthwise)(const DepthwiseArgs&) noexcept;
  void (*stem)(const StemArgs&) noexcept;

  /// sum[l] = sum over p ascending of input[p][l], for one channel block: input [pixels][V], sum [V].
  void (*sum_pixels)(const float* input, int pixels, float* sum) noexcept;

  /// Does `iterations` rounds of independent fused multiply-adds in registers; returns the floating point operations
  /// of one round.
  double (*fma_peak)(long iterations) noexcept;

  ResizeKernels resize;
};

/// The table for `isa`.
/// @throws Error{unsupported_isa} when this machine or build cannot run it.
const KernelTable& kernel_table(Isa isa);

}  // namespace mnv2::kernels
