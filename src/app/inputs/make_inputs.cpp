#include "app/inputs/make_inputs.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "app/inputs/named_source.h"
#include "app/inputs/shard.h"
#include "app/inputs/walker.h"

namespace mnv2::app {

std::unique_ptr<InputSource> make_inputs(const Plan& plan, Warn warn) {
  std::unique_ptr<InputSource> inputs =
      std::make_unique<InputWalker>(std::make_unique<NamedSource>(plan.inputs), plan.walk, std::move(warn));
  if (plan.shard) inputs = std::make_unique<ShardFilter>(std::move(inputs), *plan.shard);
  return inputs;
}

bool can_be_read_twice(const Plan& plan) {
  const auto is_file = [](const std::string& path) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(path, ignored);
  };
  if (plan.truth) return is_file(*plan.truth);
  if (!plan.inputs.has_list()) return true;
  const auto& paths = plan.inputs.paths;
  return std::find(paths.begin(), paths.end(), "-") == paths.end() && is_file(*plan.inputs.files_from);
}

}  // namespace mnv2::app
