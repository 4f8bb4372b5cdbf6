// The inputs of --eval.
#pragma once

#include <memory>

#include "app/cli/plan.h"
#include "app/inputs/make_inputs.h"
#include "app/inputs/source.h"
#include "app/models/engine.h"

namespace mnv2::app {

/// What the plan's table names, or the walk over the plan's folders, with the class of each input.
/// @param warn as for make_inputs().
/// @throws UsageError
std::unique_ptr<InputSource> make_eval_inputs(const Engine& engine, const Plan& plan,
                                              Warn warn = log_warning);

}  // namespace mnv2::app
