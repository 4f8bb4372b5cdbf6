#include "app/eval/make_eval_inputs.h"

#include <filesystem>
#include <utility>

#include "app/base/usage_error.h"
#include "app/eval/truth.h"
#include "app/inputs/shard.h"

namespace mnv2::app {

std::unique_ptr<InputSource> make_eval_inputs(const Engine& engine, const Plan& plan, Warn warn) {
  const int num_classes = engine.network.num_classes();
  const ClassNames names(engine.labels, num_classes);
  if (!plan.truth)
    return std::make_unique<FolderTruth>(make_inputs(plan, std::move(warn)), plan.inputs.paths, names,
                                         num_classes);

  const std::string folder = plan.inputs.paths.empty() ? "" : plan.inputs.paths.front();
  const auto open_table = [&] { return std::make_unique<TableTruth>("--truth", *plan.truth, folder, names); };
  std::error_code ignored;
  if (std::filesystem::is_regular_file(*plan.truth, ignored)) {
    // A mistake in the last of a million rows is better found before the first image.
    const std::unique_ptr<TableTruth> table = open_table();
    while (table->next()) {
    }
  }
  std::unique_ptr<InputSource> inputs = open_table();
  if (plan.shard) inputs = std::make_unique<ShardFilter>(std::move(inputs), *plan.shard);
  return inputs;
}

}  // namespace mnv2::app
