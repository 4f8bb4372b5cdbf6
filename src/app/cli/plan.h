// What a run will do: the options completed from the environment and the machine.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "app/bench/bench_plan.h"
#include "app/cli/options.h"
#include "app/eval/evaluate_plan.h"
#include "app/models/list_models.h"
#include "app/pipeline/run_plan.h"
#include "app/summary/summary.h"
#include "mnv2/isa.h"
#include "mnv2/precision.h"

namespace mnv2::app {

/// What the plan depends on besides the options.
struct Environment {
  std::function<std::string(const char*)> variable;  // an environment variable, empty when unset
  std::string program;                               // path of the running program
  std::string source_models;                         // models/ of the source tree
  bool stdout_is_terminal = false;
  bool stderr_is_terminal = false;
  int affinity_cpus = 1;
  std::optional<double> quota_cpus;
};

/// The environment of this process.
Environment this_environment();

/// A mode has what it needs and nothing of the others.
struct Plan {
  Isa isa = Isa::portable;
  Precision precision = Precision::float32;
  int threads = 1;
  std::variant<Classify, Evaluate, Bench, Summarize, ListModels> mode;
};

/// The instruction set of --isa, else $MNV2_ISA, else the best of this machine.
/// @throws UsageError
Isa choose_isa(const Options& options, const Environment& environment);

/// The precision of --precision or --fast with the kernels of `isa`.
Precision choose_precision(const Options& options, Isa isa);

/// @throws UsageError
Plan make_plan(const Options& options, const Environment& environment);

}  // namespace mnv2::app
