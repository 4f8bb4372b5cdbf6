// The model of a run, ready to classify: loaded, packed, with its preprocessing and labels. Immutable, shared
// by workers.
#pragma once

#include <string>
#include <vector>

#include "app/cli/plan.h"
#include "mnv2/model.h"
#include "mnv2/network.h"
#include "mnv2/preprocess.h"

namespace mnv2::app {

struct Engine {
  Network network;
  Preprocessor preprocessor;
  std::vector<std::string> labels;  // one per class, or empty
  double load_ms = 0;               // mapping and validating the file
  double pack_ms = 0;               // laying the weights out for the instruction set
};

/// The model's preprocessing with what the plan changes.
Preprocessing choose_preprocessing(const Model& model, const Plan& plan);

/// Finds and loads the model of `plan`.
/// @throws ModelNotFound, UsageError for its labels file, Error
Engine load_engine(const Plan& plan);

/// How many predictions a record has at most.
int predictions_per_record(const Engine& engine, const Plan& plan);

}  // namespace mnv2::app
