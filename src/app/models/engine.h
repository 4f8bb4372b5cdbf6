// The model of a run, ready to classify: loaded, packed, with its preprocessing and labels. Immutable, shared
// by workers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/models/model_search.h"
#include "mnv2/model.h"
#include "mnv2/network.h"
#include "mnv2/preprocess.h"
#include "mnv2/session.h"

namespace mnv2::app {

/// Which model, and what is changed about it.
struct ModelPlan {
  ModelSearch search = {};
  std::optional<std::string> labels = {};   // a file
  PreprocessingChanges preprocessing = {};  // instead of the model's
  /// Whether a model without classifier serves, which gives features alone.
  bool features_serve = false;
  /// A flag that asks for classes, which such a model lacks; or empty.
  std::string classes_flag = {};
  /// Whether --min-prob asks for probabilities, which a model with scores lacks.
  bool probabilities_wanted = false;
};

struct Engine {
  LoadedModel loaded;
  std::vector<std::string> labels;  // one per class, or empty
  double load_ms = 0;               // mapping and validating the file
  double pack_ms = 0;               // laying the weights out for the instruction set

  /// Else predictions have scores.
  bool has_probabilities() const {
    return loaded.model().architecture().output_activation != OutputActivation::none;
  }
  const Network& network() const { return loaded.network(); }
  const Preprocessor& preprocessor() const { return loaded.preprocessor(); }
};

/// The model's preprocessing with what the plan changes. @throws UsageError where these contradict each other.
Preprocessing choose_preprocessing(const Model& model, const ModelPlan& plan);

/// Finds and loads the model of `plan`.
/// @param threads how many pack its weights.
/// @throws ModelNotFound, ForeignModel, UsageError for its labels file, Error
Engine load_engine(const ModelPlan& plan, Isa isa, Precision precision, int threads);

}  // namespace mnv2::app
