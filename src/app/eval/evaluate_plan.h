// The plan of --eval.
#pragma once

#include <optional>
#include <string>

#include "app/pipeline/run_plan.h"

namespace mnv2::app {

struct Evaluate {
  RunPlan run;
  std::optional<std::string> truth = {};  // a table; without, folders are named by classes
};

}  // namespace mnv2::app
