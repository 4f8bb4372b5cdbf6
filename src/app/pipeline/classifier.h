// One worker: the way of one image from its path to its result.
#pragma once

#include <vector>

#include "app/cli/plan.h"
#include "app/inputs/source.h"
#include "app/models/engine.h"
#include "app/pipeline/memory_budget.h"
#include "app/pipeline/picture.h"
#include "app/results/sink.h"

namespace mnv2::app {

/// Holds what one image at a time needs. Use from one thread; `engine` and `plan` outlive it.
class Classifier {
 public:
  /// @param threads how many threads share the network's work on one image.
  /// @param memory what this worker shares with others; outlives it.
  Classifier(const Engine& engine, const Plan& plan, int threads, ImageMemory& memory);

  /// The result without its text. Never throws for a bad input: the record tells.
  /// @param early where the input's picture may be already; else it is loaded now.
  Result classify(const Input& input, const Needs& needs = {}, EarlyPicture* early = nullptr);

 private:
  void classify_picture(Picture picture, const Needs& needs, Result& result);

  const Engine& engine_;
  const Plan& plan_;
  ImageMemory& memory_;
  Workspace workspace_;
  Preprocessor::Scratch scratch_;
  std::vector<float> outputs_;  // [num_classes] logits, then probabilities
};

}  // namespace mnv2::app
