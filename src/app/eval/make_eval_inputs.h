// The inputs of --eval.
#pragma once

#include <memory>

#include "app/engine.h"
#include "app/inputs/source.h"
#include "app/plan.h"

namespace mnv2::app {

/// What the plan's table names, or the walk over the plan's folders, with the class of each input.
/// @throws UsageError
std::unique_ptr<InputSource> make_eval_inputs(const Engine& engine, const Plan& plan);

}  // namespace mnv2::app
