// The outputs of a run.
#pragma once

#include <memory>
#include <vector>

#include "app/eval/evaluate_plan.h"
#include "app/models/engine.h"
#include "app/pipeline/run_plan.h"
#include "app/results/output.h"
#include "app/results/sink.h"

namespace mnv2::app {

/// @param output where results go that have no file of their own; it outlives the sinks, as `engine` does.
/// @throws UsageError, Error{file_unreadable} for a file that cannot be written
std::vector<std::unique_ptr<Sink>> make_sinks(const Engine& engine, const Classify& plan, Output& output);
std::vector<std::unique_ptr<Sink>> make_sinks(const Engine& engine, const Evaluate& plan, Output& output);

}  // namespace mnv2::app
