// A plan as text, for people and tests.
#pragma once

#include <string>

#include "model/plan/stages.h"

namespace mnv2::test {

/// One line for each stage, then one for each buffer.
std::string describe(const NetworkPlan& plan, const Schedule& schedule);

}  // namespace mnv2::test
