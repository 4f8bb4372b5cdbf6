// The part of the plan that says where results go, and which wishes contradict each other.
#pragma once

#include <string>

#include "app/cli/options.h"
#include "app/cli/plan.h"

namespace mnv2::app {

/// Fills in the outputs of `plan`, whose inputs and layout are known.
/// @throws UsageError for flags that make no sense together, and for an output that is also an input
void plan_outputs(const Options& options, Plan& plan);

/// @throws UsageError when an output of `plan` is the model file at `model_path`
void check_model_is_no_output(const Plan& plan, const std::string& model_path);

}  // namespace mnv2::app
