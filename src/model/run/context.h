// What a stage needs to run: passed down, never global.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <vector>

#include "model/plan/plan.h"
#include "model/plan/stages.h"

namespace mnv2 {

struct RunContext {
  const NetworkPlan& plan;
  const std::byte* arena;  // [plan.arena_bytes]
  // of each thread; those of an image are the same for all
  std::vector<std::array<std::byte*, kBuffers>> buffers;
  // [threads][layers] time that each spent in each layer; null: not measured
  std::vector<double*> layer_seconds;

  const kernels::KernelTable& kernels() const { return *plan.kernels; }
  std::byte* buffer(BufferId id, int thread = 0) const { return buffers[thread][static_cast<int>(id)]; }
  float* floats(BufferId id) const { return reinterpret_cast<float*>(buffer(id)); }
  const float* weights(std::size_t offset) const { return reinterpret_cast<const float*>(arena + offset); }
};

/// Adds the time of its scope to a layer's, where times are asked for.
class LayerTimer {
 public:
  LayerTimer(const RunContext& context, int thread, int layer)
      : seconds_(context.layer_seconds[thread] == nullptr ? nullptr : context.layer_seconds[thread] + layer) {
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

/// Runs one part of a stage on one thread.
void run_stage(const RunContext& context, const Stage& stage, Range units, int thread);

}  // namespace mnv2
