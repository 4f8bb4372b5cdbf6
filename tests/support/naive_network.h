// A network run by plain loops in double precision, in PyTorch's layouts: shares nothing with the engine.
#pragma once

#include <span>
#include <vector>

#include "mnv2/model.h"

namespace mnv2::test {

struct NaiveResult {
  std::vector<double> logits;     // [classes], empty without a classifier
  std::vector<double> embedding;  // [features]
};

/// @param image [3][h][w]
NaiveResult run_naive(const Model& model, std::span<const float> image, int h, int w);

}  // namespace mnv2::test
