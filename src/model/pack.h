// Fills the arena: every panel of the plan. The plan's order is the file's, so threads take ranges of both.
#pragma once

#include <cstddef>

#include "mnv2/model.h"
#include "model/plan/plan.h"

namespace mnv2 {

class ThreadPool;

/// The packed weights of `plan`, by the threads of `pool`; arena: [plan.arena_bytes] zeros. Gives the model's back to the
/// system.
void pack_weights(const NetworkPlan& plan, const Model& model, ThreadPool& pool, std::byte* arena);

}  // namespace mnv2
