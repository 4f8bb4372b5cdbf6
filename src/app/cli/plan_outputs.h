// The part of the plan that says where results go, and which wishes contradict each other.
#pragma once

#include <optional>
#include <string>

#include "app/base/layout.h"
#include "app/cli/options.h"
#include "app/inputs/named_source.h"
#include "app/results/output_plan.h"

namespace mnv2::app {

/// @throws UsageError for flags that make no sense together, and for an output that is also an input
OutputPlan plan_outputs(const Options& options, const NamedInputs& inputs, Layout layout);

/// @throws UsageError when an output of `plan` is the model file at `model_path`
void check_model_is_no_output(const OutputPlan& plan, const std::string& model_path);

}  // namespace mnv2::app
