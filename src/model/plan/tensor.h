// Where the values of an activation stand in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/formats.h"

namespace mnv2 {

/// An activation tensor in blocks of channels: [blocks][h][row_stride].
struct TensorPlan {
  int c = 0;
  int h = 0;
  int w = 0;
  kernels::Element element = kernels::Element::f32;
  int block_bytes = 0;  // of a pixel in a block of channels
  int blocks = 0;       // ceil(c / channels of a block)
  // A zero column at both ends of each row: a depthwise convolution reads it directly.
  bool padded_columns = false;
  std::ptrdiff_t row_stride = 0;    // bytes
  std::ptrdiff_t block_stride = 0;  // bytes
  // [h * w] bytes from the start of a channel block to each pixel; empty when pixels are contiguous.
  std::vector<std::int32_t> offsets = {};

  int pixels() const { return h * w; }
  std::size_t bytes() const { return std::size_t(blocks) * block_stride; }
};

/// @throws Error{invalid_argument} when the offsets of a block do not fit 32 bits.
TensorPlan make_tensor(int c, int h, int w, int block_bytes, bool padded_columns = false);

/// Offsets of `rows` rows of w pixels that have a padding column on either side.
std::vector<std::int32_t> padded_offsets(int rows, int w, int block_bytes);

/// Pixels of `tensor` from channel block `block` and pixel `first` on.
template <typename Byte>
kernels::BasicView<Byte> view_of(const TensorPlan& tensor, Byte* data, int block = 0, int first = 0) {
  data += block * tensor.block_stride;
  if (tensor.offsets.empty()) return {data + std::ptrdiff_t{first} * tensor.block_bytes, tensor.block_stride};
  return {data, tensor.block_stride, tensor.offsets.data() + first};
}

}  // namespace mnv2
