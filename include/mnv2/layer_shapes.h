// What each layer of a network reads, computes and writes at one input size: for tables and for rates.
#pragma once

#include <cstdint>
#include <vector>

#include "mnv2/export.h"
#include "mnv2/model.h"

namespace mnv2 {

/// One layer at one input size. Channels and the rest are in its Layer.
struct LayerShape {
  int in_h = 1;  // pixels; 1 for a linear layer, whose input is pooled
  int in_w = 1;
  int out_h = 1;
  int out_w = 1;
  std::int64_t parameters = 0;     // weights and biases, BatchNorm folded in
  std::int64_t multiply_adds = 0;  // without padding and without the biases
  std::int64_t weight_bytes = 0;   // of the parameters, as float32
  /// Of the float32 input and output, and of the tensor that a residual adds. The engine fuses layers: what
  /// passes between two layers of a block stays in the cache.
  std::int64_t activation_bytes = 0;
};

/// The shapes of `architecture.layers()`, in that order. The multiply-adds add up to
/// Network::multiply_adds().
/// @param input_h the height of the network's input in pixels.
/// @param input_w its width.
/// @throws Error{invalid_argument} for an input size below 1.
MNV2_API std::vector<LayerShape> layer_shapes(const Architecture& architecture, int input_h, int input_w);

}  // namespace mnv2
