// Runs one inverted residual block without storing its hidden tensor.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "model/plan.h"

namespace mnv2 {

/// The buffers of one thread; sizes as in NetworkPlan.
struct ThreadBuffers {
  float* rows = nullptr;               // [rows_size] rows that the expansion or the stem produced
  float* depthwise = nullptr;          // [depthwise_size]
  float* head = nullptr;               // [head_size]
  float* input_products = nullptr;     // [input_products_size]
  float* filtered_products = nullptr;  // [filtered_products_size]
  double* layer_seconds = nullptr;     // [layers] time that the thread spent in each; null: not measured
};

/// The kernel for a panel of a pointwise layer.
inline auto pointwise_kernel(const kernels::KernelTable& kernels, const PanelPlan& panel) {
  if (panel.halves > 0) return kernels.pointwise_halves;
  return panel.pairs ? kernels.pointwise_pairs : kernels.pointwise;
}

/// Adds the time of its scope to a layer's, where times are asked for.
class LayerTimer {
 public:
  LayerTimer(const ThreadBuffers& thread, int layer)
      : seconds_(thread.layer_seconds == nullptr ? nullptr : thread.layer_seconds + layer) {
    if (seconds_ != nullptr) start_ = Clock::now();
  }
  ~LayerTimer() {
    if (seconds_ != nullptr) *seconds_ += std::chrono::duration<double>(Clock::now() - start_).count();
  }
  LayerTimer(const LayerTimer&) = delete;
  LayerTimer& operator=(const LayerTimer&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  double* seconds_;
  Clock::time_point start_;
};

/// How far ahead of the weights in use the arena is fetched, in floats: 256 KB, a quarter of a small L2 cache.
inline constexpr std::ptrdiff_t kPrefetchDistance = 64 * 1024;

/// What a stage needs to run: passed down, never global.
struct RunContext {
  const NetworkPlan& plan;
  const kernels::KernelTable& kernels;
  const float* arena;  // [plan.arena_size]
  ThreadPool& pool;
  std::vector<ThreadBuffers> threads;  // [pool.threads()]
  float* shared_depthwise = nullptr;   // [plan.shared_depthwise_size]; null with one thread
  float* partial = nullptr;            // [plan.partial_size]
  const float* zero_row = nullptr;     // [plan.zero_row_size]
  float* head_products = nullptr;      // [plan.features.pixels()]; null unless plan.head_in_pairs
};

/// Half-open interval of work.
struct Range {
  int begin = 0;
  int end = 0;
  int size() const { return end - begin; }
};

/// The part of [0, total) that falls to `part` of `parts`; sizes differ by at most one.
Range split(int total, int parts, int part);

/// Cuts `units` of like work into more parts than threads, so that a thread that is held up leaves its share to the
/// others, and calls job(range, thread) for each.
template <typename Job>
void run_split(const RunContext& context, int units, const Job& job) {
  constexpr int kPartsPerThread =
      2;  // more would break the streams of weights that each thread fetches ahead
  const int parts = std::min(units, context.pool.threads() * kPartsPerThread);
  context.pool.run(parts, [&](int part, int thread) { job(split(units, parts, part), thread); });
}

/// Zeroes the first and the last column, the padding ones, of rows [rows) of a tensor [vectors][rows][w + 2][V].
void zero_columns(float* data, int vectors, std::ptrdiff_t block_stride, Range rows, int w, int lanes);

/// One row [y] of the stem for one panel, into contiguous pixels at `output`.
/// @param planes the padded input [3][input_h + 2][input_row_stride]
void run_stem_row(const RunContext& context, const PanelPlan& panel, const float* planes, int y,
                  float* output, std::ptrdiff_t output_block_stride);

/// @param input the block's input in the layout of b.input; for RowSource::stem the padded input planes
/// @param output in the layout of b.output; must not overlap the input
void run_block(const RunContext& context, const BlockPlan& b, const float* input, float* output);

}  // namespace mnv2
