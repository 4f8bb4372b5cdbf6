// Contracts of the preprocessing kernels: the two passes of Pillow's 8-bit resize, the bilinear resize in floats, and the
// normalisation.
//
// Weights are fixed point, 2^22 = 1, cut in two so that 16-bit multiply-add instructions can use them:
// weight = high * 2^11 + low, 0 <= low < 2^11; a weight may be negative. They lie in groups of two taps: [high 0, high 1, low 0, low 1].
// One output value is (2^21 + sum of weight * value) >> 22, clipped to 0..255. The true sum must be in [-2^31, 2^31); then
// the parts may wrap on the way, and no order of adding can change the result.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mnv2::kernels {

/// The horizontal pass over `ResizeKernels::rows` rows at once.
struct HorizontalPass {
  const std::uint8_t* const* rows;       // [rows], each 3 bytes a pixel
  const std::uint8_t* const* next_rows;  // [rows], those of the next call, to fetch into the cache
  std::uint8_t* const* out;     // [rows], each [pixels][3] and 4 bytes more, which may be written too
  const std::int32_t* starts;   // [pixels], bytes from rows[r] to an output pixel's first tap
  const std::int16_t* weights;  // [pixels][blocks][2][4]: a block is four taps, missing taps weigh 0
  int pixels;                   // a multiple of 4
  int blocks;                   // 16 bytes are read at starts[x] + 12 * block
};

/// The vertical pass for one row of output.
struct VerticalPass {
  // [pairs * 2], each [bytes]; a row that weighs 0 must be readable all the same
  const std::uint8_t* const* rows;
  const std::int16_t* weights;  // [pairs][4]
  int pairs;
  std::uint8_t* out;  // [bytes], no overlap with the rows
  int bytes;          // a multiple of 64
};

/// (value / 255 - mean) / std in float32, each operation rounded, as a table and as what the table was made
/// of.
struct Normalisation {
  const float* table[3];  // [channel][256]
  float mean[3];
  float std[3];
  float inverse_std[3];
  bool arithmetic;  // compute instead of looking up; exact where the CPU fuses multiply-adds, which the
                    // caller checks
};

/// One row, interleaved bytes to three rows of floats.
struct NormalisePass {
  const std::uint8_t* pixels;  // [count][3] and 4 bytes more that may be read
  float* out[3];               // [channel], each [count]; nothing else is written
  int count;
  const Normalisation* normalisation;
};

/// value * scale + offset for values of 0 to 255, by channel.
struct Affine {
  float scale[3];
  float offset[3];
};

/// One row of pixels that lie between four neighbours each:
///   row = first + (second - first) * x_weights[i] of the upper and of the lower row
///   out = (upper + (lower - upper) * y_weight) * scale + offset
/// Rounded to float32 after each operation, or after a multiplication and an addition together: to 1e-6 of the range.
struct BilinearPass {
  const std::uint8_t* upper[2];  // [first, second], each [count][3] and 4 bytes more that may be read
  const std::uint8_t* lower[2];
  const float* x_weights;  // [count], 0 to 1
  float y_weight;          // 0 to 1
  float* out[3];           // [channel], each [count]; nothing else is written
  int count;
  const Affine* affine;
};

struct ResizeKernels {
  int rows;  // rows of one horizontal pass, at most kMaxRows
  void (*horizontal)(const HorizontalPass& pass) noexcept;
  void (*vertical)(const VerticalPass& pass) noexcept;
  void (*normalise)(const NormalisePass& pass) noexcept;
  void (*bilinear)(const BilinearPass& pass) noexcept;

  static constexpr int kMaxRows = 4;
};

}  // namespace mnv2::kernels
