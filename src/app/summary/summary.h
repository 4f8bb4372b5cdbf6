// --summary: the layers of a network with their shapes and what they cost.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/base/layout.h"
#include "app/models/engine.h"
#include "mnv2/layer_shapes.h"
#include "mnv2/model.h"

namespace mnv2::app {

/// The plan of the mode.
struct Summarize {
  ModelPlan model;
  Layout layout = Layout::text;
  std::optional<std::string> output = {};  // a file; stdout without
};

/// A layer, or the global average pooling, which has no Layer.
struct SummaryRow {
  std::string name = {};
  std::string type = {};  // as PyTorch calls it: "Conv2d 3x3 s2, ReLU6"
  int out_c = 0;
  LayerShape shape = {};
  std::int64_t parameters = 0;  // as trained, with BatchNorm's; with it folded in where that is not known
  std::optional<int> receptive_field = {};  // pixels along each axis; nothing: the whole image
};

/// A depthwise separable block's multiply-adds by the formula of Howard et al. 2017, section 3.1.
struct SeparableCost {
  std::string name = {};
  int kernel = 3;  // D_K
  int in_c = 0;    // alpha M
  int out_c = 0;   // alpha N
  int out_h = 0;   // rho D_F, along each axis
  int out_w = 0;
  std::int64_t depthwise = 0;  // D_K^2 * alpha M * (rho D_F)^2
  std::int64_t pointwise = 0;  // alpha M * alpha N * (rho D_F)^2
};

/// By what a network differs from the MobileNetV1 of Howard et al. 2017, Table 1.
struct Multipliers {
  double alpha = 1;  // of all channels: the roundest number that gives them
  double rho = 1;    // of the input's 224 pixels
};

struct Summary {
  std::string model;         // path
  std::string architecture;  // name
  std::string source;
  int input_h = 0;  // pixels
  int input_w = 0;
  int classes = 0;
  std::optional<OutputActivation> output_activation;  // nothing without classes
  bool as_trained = false;                     // parameters count those of the network as it was trained
  std::vector<SummaryRow> rows;                // in order of execution
  std::vector<SeparableCost> separable_costs;  // of MobileNetV1's blocks; empty for other networks
  std::optional<Multipliers>
      multipliers;  // of MobileNetV1 itself; nothing for other channels or an oblong input

  SummaryRow total() const;
};

/// @throws Error{invalid_argument} for an input size below 1
Summary summarize(const Model& model, int input_h, int input_w);

/// The table for people, or as JSON.
std::string format_summary(const Summary& summary, Layout layout);

}  // namespace mnv2::app
