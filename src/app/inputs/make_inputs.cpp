#include "app/inputs/make_inputs.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace mnv2::app {

std::unique_ptr<InputSource> make_inputs(const InputPlan& plan, Warn warn) {
  std::unique_ptr<InputSource> inputs =
      std::make_unique<InputWalker>(std::make_unique<NamedSource>(plan.named), plan.walk, std::move(warn));
  if (plan.shard) inputs = std::make_unique<ShardFilter>(std::move(inputs), *plan.shard);
  return inputs;
}

bool can_be_read_twice(const NamedInputs& named) {
  if (!named.has_list()) return true;
  std::error_code ignored;
  return std::find(named.paths.begin(), named.paths.end(), "-") == named.paths.end() &&
         std::filesystem::is_regular_file(*named.files_from, ignored);
}

}  // namespace mnv2::app
