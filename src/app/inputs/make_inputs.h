// The inputs of a run, as the plan wants them.
#pragma once

#include <memory>

#include "app/inputs/source.h"
#include "app/plan.h"

namespace mnv2::app {

/// @throws UsageError
std::unique_ptr<InputSource> make_inputs(const Plan& plan);

}  // namespace mnv2::app
