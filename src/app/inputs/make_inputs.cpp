#include "app/inputs/make_inputs.h"

#include <utility>

#include "app/inputs/named_source.h"
#include "app/inputs/shard.h"
#include "app/inputs/walker.h"
#include "app/log.h"

namespace mnv2::app {

std::unique_ptr<InputSource> make_inputs(const Plan& plan) {
  std::unique_ptr<InputSource> inputs =
      std::make_unique<InputWalker>(std::make_unique<NamedSource>(plan.inputs), plan.walk,
                                    [](const std::string& message) { log_warning(message); });
  if (plan.shard) inputs = std::make_unique<ShardFilter>(std::move(inputs), *plan.shard);
  return inputs;
}

}  // namespace mnv2::app
