// The inputs of --eval.
#pragma once

#include <memory>

#include "app/eval/evaluate_plan.h"
#include "app/inputs/make_inputs.h"
#include "app/inputs/source.h"
#include "app/models/engine.h"

namespace mnv2::app {

/// What the plan's table names, or the walk over the plan's folders, with the class of each input.
/// @param warn as for make_inputs().
/// @throws UsageError
std::unique_ptr<InputSource> make_eval_inputs(const Engine& engine, const Evaluate& plan,
                                              Warn warn = log_warning);

/// Whether they can be walked over a second time.
bool can_be_read_twice(const Evaluate& plan);

}  // namespace mnv2::app
