// A network run by plain loops in double precision, in PyTorch's layouts: shares nothing with the engine.
#pragma once

#include <span>
#include <vector>

#include "mnv2/model.h"
#include "mnv2/precision.h"

namespace mnv2::test {

struct NaiveResult {
  std::vector<double> logits;     // [classes], empty without a classifier
  std::vector<double> embedding;  // [features]
};

/// @param image [3][h][w]
/// @param precision where factors are rounded as it says; the sums stay in double precision. int8 takes the means of inputs
/// from the file alone.
NaiveResult run_naive(const Model& model, std::span<const float> image, int h, int w,
                      Precision precision = Precision::float32);

}  // namespace mnv2::test
