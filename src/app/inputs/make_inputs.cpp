#include "app/inputs/make_inputs.h"

#include <utility>

#include "app/inputs/archive.h"

namespace mnv2::app {

std::unique_ptr<InputSource> make_inputs(const InputPlan& plan, Warn warn) {
  std::unique_ptr<InputSource> inputs = std::make_unique<NamedSource>(plan.named, plan.walk, warn);
  inputs = std::make_unique<InputWalker>(std::move(inputs), plan.walk, warn);
  inputs = std::make_unique<ArchiveSource>(std::move(inputs), plan.walk, std::move(warn));
  if (plan.shard) inputs = std::make_unique<ShardFilter>(std::move(inputs), *plan.shard);
  return inputs;
}

}  // namespace mnv2::app
