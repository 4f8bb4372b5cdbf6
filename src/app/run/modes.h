// The modes of the program, each after its plan.
#pragma once

#include <string>

#include "app/cli/plan.h"
#include "app/results/output.h"
#include "app/results/output_file.h"

namespace mnv2::app {

/// Writes what was asked for instead of a run. @param file that `output` belongs to, put in place then.
/// @return the exit status
int print(const std::string& text, Output& output, OutputFile* file = nullptr);

/// @param output where results go that have no file of their own.
/// @return the exit status
/// @throws UsageError, Stopped, Error for an output that cannot be opened
int run_plan(const Plan& plan, Output& output);

}  // namespace mnv2::app
