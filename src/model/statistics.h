// What a network's activations are like, foretold from its weights alone: forward, means and variances of all channels
// go through the network as if its activations were normally distributed and independent; backward goes how much an
// error in each channel matters.
#pragma once

#include <map>
#include <vector>

#include "mnv2/model.h"

namespace mnv2 {

/// Mean squares of the inputs of a layer, and how much an error in each of its inputs and outputs matters: in mean
/// squares, and as if no activation were clamped.
struct LayerStatistics {
  std::vector<double> input_squares;      // [in_c]
  std::vector<double> input_importance;   // [in_c]
  std::vector<double> output_importance;  // [out_c]
};

struct BlockStatistics {
  LayerStatistics expand;  // empty where the block has none
  LayerStatistics project;
};

/// Of the pointwise layers.
struct NetworkStatistics {
  std::vector<BlockStatistics> blocks;
  LayerStatistics head;  // empty where the network has none
};

NetworkStatistics foretell_statistics(const Model& model);

/// The means of the inputs [in_c] of the pointwise and fully connected layers, by layer of model.architecture().
std::map<const Layer*, std::vector<float>> foretell_input_means(const Model& model);

}  // namespace mnv2
