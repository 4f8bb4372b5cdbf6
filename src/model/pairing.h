// Which sums of a network are computed in pairs, where an instruction set has a format that does (kF32PairsFormat).
#pragma once

#include <vector>

#include "model/statistics.h"

namespace mnv2 {

/// How the sums of a block's pointwise layers are computed.
struct BlockPairing {
  bool expand = false;  // in pairs, where a panel has two vectors
  bool project = false;
  // Powers of two: the expanded and the filtered tensor are computed times these, and what reads them is divided.
  float hidden_scale = 1;
  float filtered_scale = 1;
};

/// How the sums of a network's pointwise layers are computed; empty: none in pairs.
struct NetworkPairing {
  std::vector<BlockPairing> blocks = {};  // of the architecture, in its order
  bool head = false;
};

/// The layers of `model` for sums in pairs, none where an activation has no upper bound (ReLU), and the scales that keep their rounding as small as a plain sum's: what
/// cancels there is as large as the square of the larger factor, so inputs and weights should be about as large as each
/// other.
NetworkPairing choose_pairing(const Model& model, const NetworkStatistics& statistics);

}  // namespace mnv2
