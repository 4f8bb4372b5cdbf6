// The ways in which a panel of a pointwise layer's weights can be stored and multiplied. A panel is the weights of some
// output channels, one or two vectors of them. Each way is one row of an instruction set's table: what packs it, what it
// prepares of a run of pixels, what multiplies it. To add one: a file of kernels, a row, a test.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cpu.h"
#include "kernels/element.h"
#include "mnv2/precision.h"

namespace mnv2::kernels {

/// Where the pixels of a tensor stand: pixel p of channel block b is at
/// data + b * block_stride + (offsets ? offsets[p] : p * block bytes).
template <typename Byte>
struct BasicView {
  Byte* data = nullptr;
  std::ptrdiff_t block_stride = 0;        // bytes
  const std::int32_t* offsets = nullptr;  // [pixels], bytes; null: contiguous
};
using View = BasicView<std::byte>;
using ConstView = BasicView<const std::byte>;

/// What follows a sum: output = min(max(sum, clamp_min), clamp_max) + residual.
struct Epilogue {
  float clamp_min = 0;
  float clamp_max = 0;
  ConstView residual = {};      // no data: none; may be the output itself
  bool rounds_to_bf16 = false;  // in the end; formats of Precision::bfloat16 alone
};

/// What `prepare` made of a run of pixels, and where in that run those begin that are meant.
struct Prepared {
  const std::byte* data = nullptr;
  int pixels = 0;  // of the run
  int first = 0;
};

/// What a sum begins with.
enum class Start {
  bias,      // of the panel
  zero,      // the sum is a part of another one
  previous,  // what the output holds: raw sums of the channels before
};

/// A 1x1 convolution (a matrix product) of `pixels` contiguous pixels with one panel:
///   sum[p][n] = start[n] + sum over c ascending of input[p][c] * weights[c][n]
/// It ends in one of two ways: raw sums (no epilogue) in f32, pixels contiguous, that another call adds to or `merge`
/// finishes; or the epilogue. A finished product begins with the bias.
struct MatmulArgs {
  const std::byte* input = nullptr;  // [ceil(in_c / channels of a block)][input_block_stride]
  std::ptrdiff_t input_block_stride = 0;
  const std::byte* weights = nullptr;  // as `pack` made them
  const float* bias = nullptr;         // [vectors * V]
  Start start = Start::bias;
  View output = {};                    // [vectors] blocks
  const Epilogue* epilogue = nullptr;  // null: raw sums
  int in_c = 0;
  int pixels = 0;
  int vectors = 0;  // of the panel: 1 or 2 (kMaxPanelVectors)
  // Memory that a later call will use: fetched into the L2 cache on the way. Any address will do; null: none.
  const std::byte* prefetch = nullptr;
  std::ptrdiff_t prefetch_bytes = 0;
  Prepared prepared = {};  // these pixels; not read by formats that prepare nothing
};

/// What `multiply` needs to know of a run of pixels, once for all panels. Of a run each call may prepare a part.
struct PrepareArgs {
  const std::byte* input = nullptr;  // as in MatmulArgs
  std::ptrdiff_t input_block_stride = 0;
  std::byte* prepared = nullptr;  // [prepared_bytes] of the whole run
  int run_pixels = 0;             // of the whole run
  int first = 0;                  // the first of these pixels in the run
  int in_c = 0;
  int pixels = 0;
  bool is_signed = true;  // whether inputs may be negative; Precision::int8 alone
};

/// A part of a layer, whose weights are a matrix [out_c][row], to be packed.
struct PackArgs {
  const float* weight = nullptr;      // [out_c][row]
  const float* layer_bias = nullptr;  // [out_c]
  int out_c = 0;
  int row = 0;
  int first_out = 0;  // the panel's first output channel; those at or above out_c are packed as zeros
  int halves = 0;     // half vectors of outputs
  int first_in = 0;   // input channels [first_in, first_in + in_c)
  int in_c = 0;
  // Powers of two, for the weights and for the bias.
  float weight_scale = 1;
  float bias_scale = 1;
  std::byte* weights = nullptr;  // [weights_bytes]
  float* bias = nullptr;         // [whole vectors of outputs * V]
  // The bias of the panel that begins the sum, which takes up what the products leave out; `bias` itself, or that of an
  // earlier part of the same outputs.
  float* first_bias = nullptr;
  // Of Precision::int8 alone. What the layer's inputs are on average, by which the bias makes up for what the rounding of
  // the weights does to the outputs; null: nothing is made up for.
  const float* input_mean = nullptr;  // [row]
  bool is_signed = true;              // as in PrepareArgs
};

/// Output channels of a panel: at most this many vectors.
inline constexpr int kMaxPanelVectors = 2;

/// One way to store and multiply a panel.
struct PanelFormat {
  const char* name;
  Precision precision;
  CpuFeatures needs;  // of the CPU, beside what the table needs
  Element input, weight;
  /// Half vectors of outputs that a panel of this format has: 1 and 3 are those that end in the middle of a vector. In
  /// bits: 1 << halves.
  unsigned halves;
  int min_in_c;  // shorter sums are not worth it
  /// Whether terms that are as large as the square of an input or a weight are added and cancel: then inputs and weights
  /// must be about as large as each other (model/pairing.h).
  bool cancels;
  bool prepares;  // whether `multiply` reads what `prepare` makes

  /// Of what `prepare` makes of a run of pixels.
  std::size_t (*prepared_bytes)(int in_c, int pixels) noexcept;
  /// Of the weights of a panel.
  std::size_t (*weights_bytes)(int in_c, int halves) noexcept;
  void (*pack)(const PackArgs&) noexcept;
  void (*prepare)(const PrepareArgs&) noexcept;
  void (*multiply)(const MatmulArgs&) noexcept;
  /// Does `iterations` rounds of the products that `multiply` is made of, independent and in registers; returns the
  /// operations of one round, two for a product and its sum.
  double (*peak)(long iterations) noexcept;

  bool takes(int panel_halves) const { return (halves >> panel_halves & 1) != 0; }
};

/// The rows of one instruction set; the first one that suits a panel is taken.
struct PanelFormats {
  const PanelFormat* rows;
  int count;

  const PanelFormat* begin() const { return rows; }
  const PanelFormat* end() const { return rows + count; }
};

}  // namespace mnv2::kernels
