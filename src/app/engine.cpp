#include "app/engine.h"

#include <algorithm>
#include <utility>

#include "app/labels.h"
#include "app/log.h"
#include "app/model_search.h"
#include "app/stopwatch.h"
#include "mnv2/error.h"

namespace mnv2::app {

Engine load_engine(const Plan& plan) {
  const std::string path = find_model(plan.model);
  Stopwatch stopwatch;
  const Model model = Model::load(path);
  const double load_ms = stopwatch.lap_ms();
  log_info("model " + path + " (" + model.source() + ")");

  if (!model.architecture().classifier)
    throw Error(ErrorCode::invalid_model,
                path + ": the model has no classifier: it gives features, which cannot be told as classes");

  // Before the packing: it is the cheaper thing to be wrong.
  std::vector<std::string> labels =
      plan.labels ? read_labels(*plan.labels, model.architecture().num_classes()) : model.labels();

  Preprocessing preprocessing = model.preprocessing();
  preprocessing.resize = plan.resize.value_or(preprocessing.resize);
  preprocessing.crop = plan.crop.value_or(preprocessing.crop);
  stopwatch.lap_ms();
  Network network(model, {.isa = plan.isa, .input_h = preprocessing.crop, .input_w = preprocessing.crop});
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
