#include "app/models/engine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "app/base/log.h"
#include "app/base/stopwatch.h"
#include "app/base/usage_error.h"
#include "app/models/labels.h"
#include "app/models/model_search.h"
#include "mnv2/error.h"

namespace mnv2::app {

Preprocessing choose_preprocessing(const Model& model, const Plan& plan) {
  Preprocessing preprocessing = model.preprocessing();
  if (plan.input_size) {
    const double scale = static_cast<double>(*plan.input_size) / preprocessing.crop;
    preprocessing.resize = static_cast<int>(std::lround(preprocessing.resize * scale));
    preprocessing.crop = *plan.input_size;
  }
  preprocessing.resize = plan.resize.value_or(preprocessing.resize);
  preprocessing.crop = plan.crop.value_or(preprocessing.crop);
  return preprocessing;
}

Engine load_engine(const Plan& plan) {
  const std::string path = find_model(plan.model);
  if (stands_in(plan.model, path)) {
    log_warning(
        std::string("no ImageNet model found: using ") + kStandIn +
        ", which tells kinds of figures and pages; scripts/quickstart.sh makes ImageNet's, and --model " +
        kStandIn + " says that this one is meant");
  }
  Stopwatch stopwatch;
  const Model model = Model::load(path);
  const double load_ms = stopwatch.lap_ms();
  log_info("model " + path + " (" + model.source() + ")");

  if (!model.architecture().classifier && !plan.embeddings && !plan.bench)
    throw Error(ErrorCode::invalid_model, path +
                                              ": the model has no classifier: it gives features, which "
                                              "cannot be told as classes; --embeddings FILE.npy takes them");
  if (!model.architecture().classifier && !plan.classes_flag.empty() && !plan.bench)
    throw UsageError(plan.classes_flag + ": " + path + " has no classifier, so no classes");

  // Before the packing: it is the cheaper thing to be wrong.
  std::vector<std::string> labels =
      plan.labels ? read_labels(*plan.labels, model.architecture().num_classes()) : model.labels();

  const Preprocessing preprocessing = choose_preprocessing(model, plan);
  stopwatch.lap_ms();
  Network network(model, {.isa = plan.isa,
                          .input_h = preprocessing.crop,
                          .input_w = preprocessing.crop,
                          .pack_threads = plan.threads});
  const double pack_ms = stopwatch.lap_ms();
  if (preprocessing.crop > preprocessing.resize) {
    log_warning("the crop of " + std::to_string(preprocessing.crop) +
                " pixels is larger than the resized image (" + std::to_string(preprocessing.resize) +
                "): it gets black borders; --resize changes that");
  }
  return {std::move(network), Preprocessor(preprocessing, plan.isa), std::move(labels), load_ms, pack_ms};
}

int predictions_per_record(const Engine& engine, const Plan& plan) {
  return std::min(plan.top_k, engine.network.num_classes());
}

}  // namespace mnv2::app
