// The plan of a run over images, of the parts that its stages need.
#pragma once

#include <optional>
#include <string>

#include "app/inputs/make_inputs.h"
#include "app/models/engine.h"
#include "app/pipeline/pipeline.h"
#include "app/results/output_plan.h"

namespace mnv2::app {

/// The bar on stderr, and what is said after it.
struct ProgressPlan {
  bool shown = false;
  bool also_few = false;      // for a handful of images, too
  bool closing_line = false;  // how many there were, when they are done
};

/// Images through a model to outputs.
struct RunPlan {
  InputPlan inputs;
  ModelPlan model;
  PipelinePlan pipeline;
  OutputPlan outputs;
  ProgressPlan progress;
};

/// The mode without a flag: a record for each input.
struct Classify {
  RunPlan run;
  /// The only image, where a thread is free to decode it while the model is loaded.
  std::optional<std::string> early_image = {};
};

}  // namespace mnv2::app
