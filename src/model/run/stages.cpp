// Each stage, for the units that one thread has of it.
#include <algorithm>

#include "model/run/block.h"

namespace mnv2 {
namespace {

class StageRun {
 public:
  StageRun(const RunContext& context, Range units, int thread)
      : context_(context), units_(units), thread_(thread) {}

  void operator()(const RoundInputStage& stage) const {
    const NetworkPlan& plan = context_.plan;
    const LayerTimer timer(context_, thread_, 0);
    const std::ptrdiff_t first = units_.begin * plan.input_row_stride;
    context_.kernels().round_to_bf16(context_.floats(stage.input) + first,
                                     context_.floats(stage.output) + first,
                                     units_.size() * plan.input_row_stride);
  }

  void operator()(const StemStage& stage) const {
    const TensorPlan& out = context_.plan.stem.output;
    const LayerTimer timer(context_, thread_, 0);
    std::byte* const output = context_.buffer(stage.output);
    zero_padding(out, output, {units_.begin * out.w, units_.end * out.w});
    const std::ptrdiff_t first_column = out.padded_columns ? out.block_bytes : 0;
    for (int y = units_.begin; y < units_.end; ++y)
      for (const Panel& panel : context_.plan.stem.panels)
        run_stem_row(context_, panel, y,
                     output + first_column + panel.first_vector * out.block_stride + y * out.row_stride,
                     out.block_stride);
  }

  /// Bands of output rows, one after the other; what a band's windows share with the next stays in the ring.
  void operator()(const BandsStage& stage) const {
    const BlockPlan& b = *stage.block;
    const BlockRun run(context_, b, stage.input, thread_);
    const ChunkPlan& chunk = b.chunks.front();
    std::byte* const output = context_.buffer(stage.output);
    std::byte* const rows = run.buffer(BufferId::rows);
    std::byte* const filtered = run.buffer(BufferId::filtered_rows);
    zero_padding(b.output, output, {units_.begin * b.output.w, units_.end * b.output.w});
    run.zero_produced_columns();
    int produced = std::max(0, units_.begin * b.stride() - b.rows_before);
    for (int y = units_.begin; y < units_.end; y += b.band_rows) {
      const Range band{y, std::min(y + b.band_rows, units_.end)};
      const int needed = std::min(b.input.h, (band.end - 1) * b.stride() + 3 - b.rows_before);
      const std::ptrdiff_t filtered_block = std::ptrdiff_t{band.size()} * b.output.w * b.output.block_bytes;
      run.prepare_input({produced, needed});
      for (const Panel& panel : chunk.produce) {
        std::byte* const ring = rows + panel.first_vector * b.ring_block_bytes();
        run.produce(panel, {produced, needed}, ring);
        run.filter(chunk, {panel.first_vector, panel.first_vector + panel.vectors()}, band, ring,
                   filtered + panel.first_vector * filtered_block);
      }
      if (chunk.produce.empty()) run.filter(chunk, {0, chunk.vectors}, band, nullptr, filtered);
      produced = needed;
      run.project(0, {band.begin * b.output.w, band.end * b.output.w}, {filtered, filtered_block}, output);
    }
  }

  void operator()(const GroupsStage& stage) const {
    const BlockPlan& b = *stage.block;
    const BlockRun run(context_, b, stage.input, thread_);
    const Range rows{0, b.output.h}, pixels{0, b.output.pixels()};
    std::byte* const ring = run.buffer(BufferId::rows);
    const Pixels filtered{run.buffer(BufferId::filtered_rows), b.filtered.block_stride};
    if (b.groups() == 1) zero_padding(b.output, context_.buffer(stage.output), pixels);
    run.zero_produced_columns();
    run.prepare_input({0, b.input.h});
    for (int i = run.chunks_of(units_.begin).begin; i < run.chunks_of(units_.end - 1).end; ++i) {
      const ChunkPlan& chunk = b.chunks[i];
      for (const Panel& panel : chunk.produce)
        run.produce(panel, {0, b.input.h},
                    ring + (panel.first_vector - chunk.first_vector) * b.ring_block_bytes());
      run.filter(chunk, {chunk.first_vector, chunk.first_vector + chunk.vectors}, rows, ring,
                 run.buffer(BufferId::filtered_rows));
      run.project(i, pixels, filtered, context_.buffer(stage.output));
    }
  }

  void operator()(const HiddenStage& stage) const {
    const BlockPlan& b = *stage.block;
    const BlockRun run(context_, b, stage.input, thread_);
    std::byte* const ring = run.buffer(BufferId::rows);
    const Range mine{units_.begin * kernels::kMaxPanelVectors, units_.end * kernels::kMaxPanelVectors};
    run.zero_produced_columns();
    run.prepare_input({0, b.input.h});
    for (const ChunkPlan& chunk : b.chunks) {
      const int end = chunk.first_vector + chunk.vectors;
      for (int v = chunk.first_vector; v < end; v += kernels::kMaxPanelVectors) {
        if (v < mine.begin || v >= mine.end) continue;
        if (!chunk.produce.empty())
          run.produce(chunk.produce[(v - chunk.first_vector) / kernels::kMaxPanelVectors], {0, b.input.h},
                      ring);
        run.filter(chunk, {v, std::min(v + kernels::kMaxPanelVectors, end)}, {0, b.output.h}, ring,
                   context_.buffer(stage.output) + v * b.filtered.block_stride);
      }
    }
  }

  void operator()(const ProjectStage& stage) const {
    const BlockPlan& b = *stage.block;
    const BlockRun run(context_, b, stage.input, thread_);
    const std::byte* const filtered =
        context_.buffer(stage.filtered) + std::ptrdiff_t{units_.begin} * b.filtered.block_bytes;
    std::byte* const output = context_.buffer(stage.output);
    zero_padding(b.output, output, units_);
    for (int i = 0; i < static_cast<int>(b.chunks.size()); ++i) {
      const ChunkPlan& chunk = b.chunks[i];
      run.project(i, units_,
                  {filtered + chunk.first_vector * b.filtered.block_stride, b.filtered.block_stride}, output);
    }
    if (b.groups() > 1) run.merge(units_, output);
  }

  void operator()(const MergeStage& stage) const {
    std::byte* const output = context_.buffer(stage.output);
    zero_padding(stage.block->output, output, units_);
    BlockRun(context_, *stage.block, stage.input, thread_).merge(units_, output);
  }

  void operator()(const PrepareHeadStage& stage) const {
    const TailPlan& tail = context_.plan.tail;
    const LayerTimer timer(context_, thread_, tail.pooled_layer);
    tail.prepare->prepare(
        {.input = context_.buffer(stage.input) + std::ptrdiff_t{units_.begin} * tail.input.block_bytes,
         .input_block_stride = tail.input.block_stride,
         .prepared = context_.buffer(BufferId::prepared_head),
         .run_pixels = tail.input.pixels(),
         .first = units_.begin,
         .in_c = tail.input.c,
         .pixels = units_.size(),
         .is_signed = tail.input_is_signed});
  }

  void operator()(const TailStage& stage) const {
    const TailPlan& tail = context_.plan.tail;
    for (int group = units_.begin; group < units_.end; ++group) {
      float* const logits = context_.floats(BufferId::logits) + std::ptrdiff_t{group} * tail.logits;
      if (group > 0)
        std::fill_n(logits, tail.logits, 0.0f);
      else if (tail.classifier != nullptr)
        std::copy_n(context_.weights(tail.classifier_bias), tail.logits, logits);
      const Range steps = split(static_cast<int>(tail.steps.size()), tail.groups, group);
      for (int i = steps.begin; i < steps.end; ++i) {
        pool_features(tail.steps[i], context_.buffer(stage.input));
        if (tail.classifier != nullptr) classify(tail.steps[i], logits);
      }
    }
  }

  void operator()(const LogitsStage&) const {
    const TailPlan& tail = context_.plan.tail;
    float* const logits = context_.floats(BufferId::logits);
    for (int g = 1; g < tail.groups; ++g)
      for (int i = 0; i < tail.logits; ++i) logits[i] += logits[std::ptrdiff_t{g} * tail.logits + i];
    const Clamp& clamp = tail.classifier->clamp;
    for (int i = 0; i < tail.logits; ++i) logits[i] = std::clamp(logits[i], clamp.min, clamp.max);
  }

  void operator()(const DenseStage& stage) const {
    const DensePlan& dense = *stage.dense;
    const LayerTimer timer(context_, thread_, dense.index);
    const int in_c = dense.layer->in_c;
    const std::ptrdiff_t block = context_.kernels().block_bytes;
    const std::byte* const input = context_.buffer(stage.input);
    std::byte* const prepared = context_.buffer(BufferId::prepared_input, thread_);
    if (const kernels::PanelFormat* const format = preparing_format(dense.panels))
      format->prepare({.input = input,
                       .input_block_stride = block,
                       .prepared = prepared,
                       .run_pixels = 1,
                       .in_c = in_c,
                       .pixels = 1,
                       .is_signed = dense.input_is_signed});
    const kernels::Epilogue epilogue{.clamp_min = dense.layer->clamp.min,
                                     .clamp_max = dense.layer->clamp.max};
    for (int i = units_.begin; i < units_.end; ++i) {
      const Panel& panel = dense.panels[i];
      panel.format->multiply({.input = input,
                              .input_block_stride = block,
                              .weights = context_.arena + panel.weights,
                              .bias = context_.weights(panel.bias),
                              .output = {context_.buffer(stage.output) + panel.first_vector * block, block},
                              .epilogue = &epilogue,
                              .in_c = in_c,
                              .pixels = 1,
                              .vectors = panel.vectors(),
                              .prepared = {prepared, 1}});
    }
  }

 private:
  /// One panel of the head: its map, the widest of the network, is never stored.
  /// @return the panel's map [vectors][pixels]
  const std::byte* run_head_panel(const TailStep& step, const std::byte* input) const {
    const TailPlan& tail = context_.plan.tail;
    const TensorPlan& in = tail.input;
    const Panel& panel = step.head;
    const kernels::Epilogue epilogue{.clamp_min = tail.head->clamp.min, .clamp_max = tail.head->clamp.max};
    std::byte* const map = context_.buffer(BufferId::head_panel, thread_);
    panel.format->multiply(
        {.input = input,
         .input_block_stride = in.block_stride,
         .weights = context_.arena + panel.weights,
         .bias = context_.weights(panel.bias),
         .output = {map, std::ptrdiff_t{in.pixels()} * in.block_bytes},
         .epilogue = &epilogue,
         .in_c = in.c,
         .pixels = in.pixels(),
         .vectors = panel.vectors(),
         // This step's part of the classifier and the next step's panel.
         .prefetch = context_.arena + panel.weights + panel.format->weights_bytes(in.c, panel.halves),
         .prefetch_bytes = static_cast<std::ptrdiff_t>(step.end - panel.weights),
         .prepared = {context_.buffer(BufferId::prepared_head), in.pixels()}});
    return map;
  }

  /// The features of one step: a panel of the head, or without a head some of the last block's output, pooled.
  void pool_features(const TailStep& step, const std::byte* input) const {
    const TailPlan& tail = context_.plan.tail;
    const LayerTimer timer(context_, thread_, tail.pooled_layer);
    const int lanes = context_.plan.lanes(), pixels = tail.input.pixels(), first = step.head.first_vector;
    const std::ptrdiff_t block = std::ptrdiff_t{pixels} * tail.input.block_bytes;
    const std::byte* const map = tail.head != nullptr ? run_head_panel(step, input) : input + first * block;
    for (int v = 0; v < step.head.vectors(); ++v) {
      float* const pooled = context_.floats(BufferId::features) + std::ptrdiff_t{first + v} * lanes;
      context_.kernels().sum_pixels(map + v * block, pixels, pooled);
      for (int l = 0; l < lanes; ++l) pooled[l] /= static_cast<float>(pixels);
    }
  }

  /// Adds the classifier's products with the features of one step to `logits`.
  void classify(const TailStep& step, float* logits) const {
    const TailPlan& tail = context_.plan.tail;
    const LayerTimer timer(context_, thread_, tail.classifier_layer);
    const int outs = kernels::kLinearVectors * context_.plan.lanes();
    for (int p = 0; p < tail.classifier_panels; ++p)
      context_.kernels().linear(
          {.input = context_.floats(BufferId::features) +
                    std::ptrdiff_t{step.head.first_vector} * context_.plan.lanes(),
           .weights = context_.weights(step.classifier) + std::size_t(p) * outs * step.channels,
           .output = logits + std::ptrdiff_t{p} * outs,
           .in_c = step.channels});
  }

  const RunContext& context_;
  Range units_;
  int thread_;
};

}  // namespace

void run_stage(const RunContext& context, const Stage& stage, Range units, int thread) {
  std::visit(StageRun(context, units, thread), stage);
}

}  // namespace mnv2
