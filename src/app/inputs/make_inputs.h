// The inputs of a run, as the plan wants them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/base/log.h"
#include "app/cli/plan.h"
#include "app/inputs/source.h"

namespace mnv2::app {

using Warn = std::function<void(const std::string&)>;

/// @param warn told about what is no input's error, such as a folder without images.
/// @throws UsageError
std::unique_ptr<InputSource> make_inputs(const Plan& plan, Warn warn = log_warning);

/// Whether the inputs can be walked over a second time: a list that comes through a pipe cannot.
bool can_be_read_twice(const Plan& plan);

}  // namespace mnv2::app
