// Which sums of a network are computed in pairs, where the kernels can.
#pragma once

#include "mnv2/model.h"
#include "model/plan.h"

namespace mnv2 {

/// The layers of `model` for pointwise_pairs, and the scales that keep its rounding as small as pointwise's: what
/// cancels there is as large as the square of the larger factor, so inputs and weights should be about as large as each
/// other. How large the inputs are is foretold from the weights alone: forward, means and variances of all channels go
/// through the network as if its activations were normally distributed and independent; backward goes how much an error
/// in each channel matters.
NetworkSums choose_sums(const Model& model);

}  // namespace mnv2
