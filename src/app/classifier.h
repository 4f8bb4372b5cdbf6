// One worker: the way of one image from its path to its record.
#pragma once

#include <vector>

#include "app/engine.h"
#include "app/inputs.h"
#include "app/plan.h"
#include "app/record.h"

namespace mnv2::app {

/// Holds what one image at a time needs. Use from one thread; `engine` and `plan` outlive it.
class Classifier {
 public:
  /// @param threads how many threads share the network's work on one image.
  Classifier(const Engine& engine, const Plan& plan, int threads);

  /// Never throws for a bad input: the record tells.
  Record classify(const Input& input);

 private:
  void classify_file(const std::string& path, Record& record);

  const Engine& engine_;
  const Plan& plan_;
  Workspace workspace_;
  Preprocessor::Scratch scratch_;
  std::vector<float> outputs_;  // [num_classes] logits, then probabilities
};

}  // namespace mnv2::app
