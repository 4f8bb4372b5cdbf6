// --bench: how fast is it here, and how close to what the machine can do.
#pragma once

#include "app/bench/bench_plan.h"
#include "app/models/engine.h"
#include "app/pipeline/pipeline.h"
#include "app/results/output.h"

namespace mnv2::app {

/// Measures the settings of `plan` in turn and writes a report, as text or, for the JSON layouts, as one JSON
/// object. With inputs, images go through all stages; without, a made-up image through the network alone. The
/// number of failed inputs is that of images left out because they could not be classified.
/// @throws UsageError for a file to compare with that cannot be used
PipelineResult run_bench(const Engine& engine, const Bench& plan, Output& output);

}  // namespace mnv2::app
