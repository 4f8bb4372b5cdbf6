#include "model/plan/stages.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "core/rounding.h"

namespace mnv2 {
namespace {

class Scheduler {
 public:
  Scheduler(const NetworkPlan& plan, int threads)
      : plan_(plan), threads_(threads), schedule_{.steps = {}, .memory = MemoryPlan(threads)} {}

  Schedule make() {
    need(BufferId::planes, 3 * plan_.input_plane_stride * sizeof(float));
    if (plan_.rounds_to_bf16()) {
      need(BufferId::rounded_planes, 3 * plan_.input_plane_stride * sizeof(float));
      add(RoundInputStage{BufferId::planes, BufferId::rounded_planes}, 3 * (plan_.input_h + 2));
    }
    if (!plan_.stem.panels.empty()) {
      add(StemStage{next_}, plan_.stem.output.h);
      advance(plan_.stem.output);
    }
    for (const BlockPlan& block : plan_.blocks) {
      size_thread_buffers(block);
      add_block(block);
      advance(block.output);
    }
    add_tail();
    for (const DensePlan& dense : plan_.dense) add_dense(dense);
    check_memory(plan_, schedule_.memory.total() + plan_.table_bytes);
    return std::move(schedule_);
  }

 private:
  void add_block(const BlockPlan& b) {
    const int panels = divide_up(b.hidden_vectors, kernels::kMaxPanelVectors);
    if (b.banded) {
      add(BandsStage{&b, current_, next_}, b.output.h, threads_);
      return;
    }
    if (!b.projected) {
      add(HiddenStage{&b, current_, next_}, panels);
      return;
    }
    if (b.groups() > 1) need(BufferId::sums, b.groups() * sums_bytes(b));
    if (threads_ <= b.groups() && plan_.precision == Precision::float32) {
      add(GroupsStage{&b, current_, next_}, b.groups(), threads_);
      if (b.groups() > 1) add(MergeStage{&b, current_, next_}, b.output.pixels());
      return;
    }
    need(BufferId::filtered, b.filtered.bytes());
    // One thread prepares the input once.
    if (threads_ == 1)
      add(HiddenStage{&b, current_, BufferId::filtered}, panels, 1);
    else
      add(HiddenStage{&b, current_, BufferId::filtered}, panels);
    add(ProjectStage{&b, current_, BufferId::filtered, next_}, b.output.pixels(), threads_);
  }

  void add_tail() {
    const TailPlan& tail = plan_.tail;
    const int pixels = tail.input.pixels();
    if (tail.head != nullptr)
      need(BufferId::head_panel, std::size_t(kernels::kMaxPanelVectors) * pixels * tail.input.block_bytes);
    need(BufferId::features, sizeof(float) * round_up(tail.features, plan_.lanes()));
    need(BufferId::logits, sizeof(float) * tail.groups * tail.logits);
    if (tail.prepare != nullptr) {
      need(BufferId::prepared_head, tail.prepare->prepared_bytes(tail.input.c, pixels));
      add(PrepareHeadStage{current_}, pixels);
    }
    add(TailStage{current_}, tail.groups);
    if (tail.classifier != nullptr)
      add(LogitsStage{}, 1);
    else
      schedule_.outputs = BufferId::features;
  }

  void add_dense(const DensePlan& dense) {
    const BufferId output = schedule_.outputs == BufferId::dense ? BufferId::next_dense : BufferId::dense;
    need(output, sizeof(float) * dense.outputs);
    need_prepared(BufferId::prepared_input, dense.panels, dense.layer->in_c, 1);
    add(DenseStage{&dense, schedule_.outputs, output}, static_cast<int>(dense.panels.size()));
    schedule_.outputs = output;
  }

  void size_thread_buffers(const BlockPlan& b) {
    int most_vectors = 0;
    for (const ChunkPlan& chunk : b.chunks) {
      most_vectors = std::max(most_vectors, chunk.vectors);
      need_prepared(BufferId::prepared_input, chunk.produce, b.input.c, b.ring_rows * b.input.w);
      need_prepared(BufferId::prepared_filtered, chunk.project, chunk.channels, b.band_rows * b.output.w);
    }
    need(BufferId::zero_row, b.ring_row_bytes());
    need(BufferId::rows, b.ring_vectors * b.ring_block_bytes());
    need(BufferId::filtered_rows,
         std::size_t(most_vectors) * b.band_rows * b.output.w * b.output.block_bytes);
  }

  void need_prepared(BufferId id, const Panels& panels, int in_c, int pixels) {
    if (const kernels::PanelFormat* const format = preparing_format(panels))
      need(id, format->prepared_bytes(in_c, pixels));
  }

  static std::size_t sums_bytes(const BlockPlan& b) {
    return std::size_t(b.output.blocks) * b.output.pixels() * b.output.block_bytes;
  }

  void need(BufferId id, std::size_t bytes) { schedule_.memory.need(id, bytes); }

  /// The output of the last stage becomes the input of the next.
  void advance(const TensorPlan& tensor) {
    need(next_, tensor.bytes());
    current_ = std::exchange(
        next_, next_ == BufferId::activation ? BufferId::next_activation : BufferId::activation);
  }

  /// More parts than threads: a thread that is held up leaves its share to the others.
  void add(const Stage& stage, int units) {
    // more would break the streams of weights that each thread fetches ahead
    constexpr int kPartsPerThread = 2;
    add(stage, units, threads_ * kPartsPerThread);
  }
  void add(const Stage& stage, int units, int most_parts) {
    schedule_.steps.push_back({stage, units, std::min(units, most_parts)});
  }

  const NetworkPlan& plan_;
  int threads_;
  Schedule schedule_;
  BufferId current_ = BufferId::planes;
  BufferId next_ = BufferId::activation;
};

}  // namespace

Schedule make_schedule(const NetworkPlan& plan, int threads) { return Scheduler(plan, threads).make(); }

Range split(int total, int parts, int part) {
  return {static_cast<int>(std::int64_t{total} * part / parts),
          static_cast<int>(std::int64_t{total} * (part + 1) / parts)};
}

Range Step::part(int index) const { return split(units, parts, index); }

}  // namespace mnv2
