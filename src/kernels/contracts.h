// Kernels: the inner loops of the network, one table of function pointers per instruction set.
//
// A block of a tensor is one vector of bytes: 16 (portable, NEON), 32 (AVX2) or 64 (AVX-512). It holds as many channels
// of a pixel as fit in, V floats for example. Tensors are [ceil(C / channels of a block)][rows][columns][block]; the
// channels that pad the last block hold finite numbers that nothing depends on. So a run of pixels of one channel block
// is contiguous, and the address of a pixel's channel is base + constant. Strides and offsets are in bytes.
// Kernels are noexcept, allocate nothing and trust their arguments: the plan (model/plan) is checked once, at load.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/formats.h"
#include "kernels/pixels/resize.h"
#include "mnv2/isa.h"

namespace mnv2::kernels {

/// Adds the two parts of a sum that was cut in two, and finishes it:
///   output[p][n] = min(max(sums[0][p][n] + sums[1][p][n], clamp_min), clamp_max) + residual[p][n]
struct MergeArgs {
  const std::byte* sums[2] = {};  // f32 [blocks][sums_block_stride], pixels contiguous
  std::ptrdiff_t sums_block_stride = 0;
  View output = {};        // [blocks]
  Epilogue epilogue = {};  // its residual: [blocks]
  int pixels = 0;
  int blocks = 0;
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
  const std::byte* rows[(kMaxDepthwiseRows - 1) * 2 + 3] = {};  // f32 [(out_w - 1) * stride + 3][V] each
  const float* weights = nullptr;  // [9][V] filter taps in row order, then [V] bias
  std::byte* output = nullptr;     // f32 [out_rows][output_row_stride]
  std::ptrdiff_t output_row_stride = 0;
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
  std::byte* output = nullptr;                // f32 [vectors][output_block_stride], pixels contiguous
  std::ptrdiff_t output_block_stride = 0;
  int taps = 0;  // planes * kernel * kernel
  int out_w = 0;
  int stride = 0;   // 1 or 2
  int vectors = 0;  // 1 or 2
  float clamp_min = 0;
  float clamp_max = 0;
  bool rounds_to_bf16 = false;  // the outputs
};

/// The kernels of one instruction set.
struct KernelTable {
  Isa isa;
  int block_bytes;       // of a vector
  Precision quickest;    // of those that keep the answers
  PanelFormats formats;  // of pointwise layers

  void (*merge)(const MergeArgs&) noexcept;
  void (*linear)(const LinearArgs&) noexcept;
  void (*depthwise)(const DepthwiseArgs&) noexcept;
  void (*stem)(const StemArgs&) noexcept;
  /// The same with multiply-adds that round once on every instruction set.
  void (*depthwise_fused)(const DepthwiseArgs&) noexcept;
  void (*stem_fused)(const StemArgs&) noexcept;
  /// The bfloat16s that are nearest to `count` floats, halves to even, as floats; output may be the input.
  void (*round_to_bf16)(const float* input, float* output, std::ptrdiff_t count) noexcept;

  /// sum[l] = sum over p ascending of input[p][l], for one channel block: input f32 [pixels][V], sum [V].
  void (*sum_pixels)(const std::byte* input, int pixels, float* sum) noexcept;

  ResizeKernels resize;

  /// V: the floats of a vector.
  int lanes() const { return block_bytes / int{sizeof(float)}; }
};

/// The table for `isa`.
/// @throws Error{unsupported_isa} when this machine or build cannot run it.
const KernelTable& kernel_table(Isa isa);

}  // namespace mnv2::kernels
