// The inputs of --eval.
#pragma once

#include <memory>

#include "app/engine.h"
#include "app/eval/class_names.h"
#include "app/inputs/source.h"
#include "app/plan.h"

namespace mnv2::app {

/// What the plan's table names, or the walk over the plan's folders, with the class of each input.
/// @param names outlives the source.
/// @throws UsageError
std::unique_ptr<InputSource> make_eval_inputs(const Plan& plan, const ClassNames& names, int num_classes);

}  // namespace mnv2::app
