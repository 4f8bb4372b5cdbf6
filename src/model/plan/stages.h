// The order of a run: stages, one after the other, each cut into parts that the threads of a pool share. Made from a plan
// for a number of threads.
#pragma once

#include <variant>
#include <vector>

#include "model/plan/memory.h"
#include "model/plan/plan.h"

namespace mnv2 {

/// Rounds the input planes to bfloat16. By rows of all planes, with their borders.
struct RoundInputStage {
  BufferId input, output;
};

/// The stem on its own, where block 0 cannot take it in. By output rows.
struct StemStage {
  BufferId output;
};

/// A banded block, whole. By output rows; each part recomputes the rows that its first windows share with the part
/// before.
struct BandsStage {
  const BlockPlan* block;
  BufferId input, output;
};

/// Groups of chunks of a block: expand, filter and project one chunk after the other over the whole map, to raw sums
/// (one group alone: to the output). By groups.
struct GroupsStage {
  const BlockPlan* block;
  BufferId input, output;
};

/// Expands and filters the hidden channels of a block. By panels of them.
struct HiddenStage {
  const BlockPlan* block;
  BufferId input, output;
};

/// Projects what HiddenStage left, in the same chunks and groups as GroupsStage. By output pixels.
struct ProjectStage {
  const BlockPlan* block;
  BufferId input, filtered, output;  // input: of the block, for the residual
};

/// Adds up the sums of two groups and finishes them. By output pixels.
struct MergeStage {
  const BlockPlan* block;
  BufferId input, output;
};

/// What the head's format prepares of its input. By pixels.
struct PrepareHeadStage {
  BufferId input;
};

/// Head, pooling and the classifier's products. By groups of the tail's steps.
struct TailStage {
  BufferId input;
};

/// Adds up the logits of the tail's groups and clamps them. One part.
struct LogitsStage {};

/// A fully connected layer after that. By panels of its outputs.
struct DenseStage {
  const DensePlan* dense;
  BufferId input, output;
};

using Stage = std::variant<RoundInputStage, StemStage, BandsStage, GroupsStage, HiddenStage, ProjectStage,
                           MergeStage, PrepareHeadStage, TailStage, LogitsStage, DenseStage>;

/// Half-open interval of work.
struct Range {
  int begin = 0;
  int end = 0;
  int size() const { return end - begin; }
};

/// A stage and how it is shared: `units` of like work in `parts`.
struct Step {
  Stage stage;
  int units = 1;
  int parts = 1;

  /// The units of one part; sizes differ by at most one.
  Range part(int index) const;
};

struct Schedule {
  std::vector<Step> steps;
  MemoryPlan memory;
  BufferId outputs = BufferId::logits;  // where the network's outputs are after the last step
};

/// @throws Error{invalid_argument}, see check_memory
Schedule make_schedule(const NetworkPlan& plan, int threads);

/// The part of [0, total) that falls to `part` of `parts`; sizes differ by at most one.
Range split(int total, int parts, int part);

}  // namespace mnv2
