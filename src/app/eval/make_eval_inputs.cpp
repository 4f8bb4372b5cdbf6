#include "app/eval/make_eval_inputs.h"

#include <filesystem>
#include <utility>

#include "app/base/usage_error.h"
#include "app/eval/truth.h"
#include "app/inputs/shard.h"

namespace mnv2::app {

std::unique_ptr<InputSource> make_eval_inputs(const Engine& engine, const Evaluate& plan, Warn warn) {
  const InputPlan& inputs_plan = plan.run.inputs;
  const int num_classes = engine.network().num_classes();
  const ClassNames names(engine.labels, num_classes);
  if (!plan.truth)
    return std::make_unique<FolderTruth>(make_inputs(inputs_plan, std::move(warn)), inputs_plan.named.paths,
                                         inputs_plan.walk.exclude, names, num_classes);

  const std::string folder = inputs_plan.named.paths.empty() ? "" : inputs_plan.named.paths.front();
  const auto open_table = [&] { return std::make_unique<TableTruth>("--truth", *plan.truth, folder, names); };
  std::error_code ignored;
  if (std::filesystem::is_regular_file(*plan.truth, ignored)) {
    // A mistake in the last of a million rows is better found before the first image.
    const std::unique_ptr<TableTruth> table = open_table();
    while (table->next()) {
    }
  }
  std::unique_ptr<InputSource> inputs = open_table();
  if (inputs_plan.shard) inputs = std::make_unique<ShardFilter>(std::move(inputs), *inputs_plan.shard);
  return inputs;
}

bool can_be_read_twice(const Evaluate& plan) {
  if (!plan.truth) return plan.run.inputs.named.can_be_read_twice();
  std::error_code ignored;
  return std::filesystem::is_regular_file(*plan.truth, ignored);
}

}  // namespace mnv2::app
