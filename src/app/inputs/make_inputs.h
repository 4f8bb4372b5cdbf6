// The inputs of a run: what is named, what is looked for in folders, and which part is taken.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/base/log.h"
#include "app/inputs/named_source.h"
#include "app/inputs/shard.h"
#include "app/inputs/source.h"
#include "app/inputs/walker.h"

namespace mnv2::app {

struct InputPlan {
  NamedInputs named = {};
  WalkRules walk = {};
  std::optional<Shard> shard = {};
};

/// @param warn told about what is no input's error, such as a folder without images.
/// @throws UsageError
std::unique_ptr<InputSource> make_inputs(const InputPlan& plan, Warn warn = log_warning);

}  // namespace mnv2::app
