#include "app/models/engine.h"

#include <utility>

#include "app/base/log.h"
#include "app/base/stopwatch.h"
#include "app/base/usage_error.h"
#include "app/models/foreign_model.h"
#include "app/models/labels.h"
#include "app/models/model_search.h"
#include "mnv2/error.h"

namespace mnv2::app {

Preprocessing choose_preprocessing(const Model& model, const ModelPlan& plan) {
  try {
    return changed(model.preprocessing(), plan.preprocessing);
  } catch (const Error& e) {
    throw UsageError("--resize-form, --resize, --interpolation: " + std::string(e.what()));
  }
}

Engine load_engine(const ModelPlan& plan, Isa isa, Precision precision, int threads) {
  const std::string path = find_model(plan.search);
  if (stands_in(plan.search, path)) {
    log_warning(
        std::string("no ImageNet model found: using ") + kStandIn +
        ", which tells kinds of figures and pages; scripts/quickstart.sh makes ImageNet's, and --model " +
        kStandIn + " says that this one is meant");
  }
  Stopwatch stopwatch;
  const Model model = load_model(path);
  const double load_ms = stopwatch.lap_ms();
  log_info("model " + path + " (" + model.source() + ")");

  if (model.architecture().dense.empty() && !plan.features_serve)
    throw Error(ErrorCode::invalid_model, path +
                                              ": the model has no classifier: it gives features, which "
                                              "cannot be told as classes; --embeddings FILE.npy takes them");
  if (model.architecture().dense.empty() && !plan.classes_flag.empty())
    throw UsageError(plan.classes_flag + ": " + path + " has no classifier, so no classes");

  if (model.architecture().output_activation == OutputActivation::none && plan.probabilities_wanted)
    throw UsageError("--min-prob: " + path + " gives scores, which are no probabilities");

  // Before the packing: it is the cheaper thing to be wrong.
  std::vector<std::string> labels =
      plan.labels ? read_labels(*plan.labels, model.architecture().num_classes()) : model.labels();

  const Preprocessing preprocessing = choose_preprocessing(model, plan);
  stopwatch.lap_ms();
  LoadedModel loaded(
      model, {.isa = isa, .precision = precision, .preprocessing = preprocessing, .pack_threads = threads});
  const double pack_ms = stopwatch.lap_ms();
  if (preprocessing.crop > preprocessing.resize) {
    log_warning("the crop of " + std::to_string(preprocessing.crop) +
                " pixels is larger than the resized image (" + std::to_string(preprocessing.resize) +
                "): it gets black borders; --resize changes that");
  }
  return {std::move(loaded), std::move(labels), load_ms, pack_ms};
}

}  // namespace mnv2::app
