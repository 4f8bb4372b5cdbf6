#include "mnv2/network.h"

#include <algorithm>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "core/buffer.h"
#include "core/thread_pool.h"
#include "kernels/contracts.h"
#include "mnv2/error.h"
#include "model/pack.h"
#include "model/pairing.h"
#include "model/plan/plan.h"
#include "model/plan/stages.h"
#include "model/run/context.h"

namespace mnv2 {
namespace {

constexpr int kMaxInputSize = 4096;
constexpr int kMaxThreads = 1024;
constexpr int kMaxPackThreads = 8;  // a few threads take all that the memory gives

int checked_size(int size, int fallback, const char* name) {
  const int result = size == 0 ? fallback : size;
  if (result < 1 || result > kMaxInputSize)
    throw Error(ErrorCode::invalid_argument, std::string(name) + ": " + std::to_string(result) +
                                                 ", expected 1 to " + std::to_string(kMaxInputSize) +
                                                 " pixels");
  return result;
}

/// For what gains from threads but can be done by one.
std::unique_ptr<ThreadPool> make_pool(int threads) {
  try {
    return std::make_unique<ThreadPool>(threads);
  } catch (const std::system_error&) {
    return std::make_unique<ThreadPool>(1);
  }
}

void check_logits(std::size_t room, int outputs) {
  if (room == static_cast<std::size_t>(outputs)) return;
  std::string message = "logits: room for " + std::to_string(room) + ", expected " + std::to_string(outputs);
  if (outputs == 0) message += ": the model has no classifier, only an embedding";
  throw Error(ErrorCode::invalid_argument, message);
}

/// What choose_pairing says, where a format asks for it: it reads all weights.
NetworkPairing pairing_for(const Model& model, const kernels::KernelTable& kernels) {
  const bool asked = std::any_of(kernels.formats.begin(), kernels.formats.end(),
                                 [](const kernels::PanelFormat& format) { return format.cancels; });
  return asked ? choose_pairing(model, foretell_statistics(model)) : NetworkPairing{};
}

}  // namespace

struct Network::Impl {
  Model model;
  NetworkPlan plan;
  Buffer arena;  // [plan.arena_bytes] packed weights

  Impl(const Model& m, const NetworkOptions& options) : model(m) {
    const kernels::KernelTable& kernels = kernels::kernel_table(options.isa.value_or(best_isa()));
    plan = make_plan(model.architecture(), kernels,
                     checked_size(options.input_h, m.preprocessing().crop, "input height"),
                     checked_size(options.input_w, m.preprocessing().crop, "input width"), options.precision,
                     options.precision == Precision::float32 ? pairing_for(m, kernels) : NetworkPairing{});
    make_schedule(plan, 1);  // refuses what takes too much memory before the arena is there
    arena = Buffer(plan.arena_bytes);
    const auto pool = make_pool(std::clamp(options.pack_threads, 1, kMaxPackThreads));
    pack_weights(plan, model, *pool, arena.data());
  }
};

struct Workspace::Impl {
  ThreadPool pool;
  Schedule schedule;
  Buffer memory;  // of all buffers: large enough for huge pages
  RunContext context;

  Impl(const Network::Impl& network, int threads)
      : pool(threads),
        schedule(make_schedule(network.plan, threads)),
        memory(schedule.memory.total()),
        context{.plan = network.plan,
                .arena = network.arena.data(),
                .buffers = {},
                .layer_seconds = std::vector<double*>(threads)} {
    for (int t = 0; t < threads; ++t) {
      auto& buffers = context.buffers.emplace_back();
      for (int i = 0; i < kBuffers; ++i)
        buffers[i] = memory.data() + schedule.memory.offset(static_cast<BufferId>(i), t);
    }
  }
};

namespace {

void check_workspace(const RunContext& workspace, const NetworkPlan& network) {
  if (&workspace.plan != &network)
    throw Error(ErrorCode::invalid_argument, "workspace: made for another network");
}

}  // namespace

Network::Network(const Model& model, const NetworkOptions& options)
    : impl_(std::make_unique<const Impl>(model, options)) {}
Network::~Network() = default;
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;

const Model& Network::model() const { return impl_->model; }
Isa Network::isa() const { return impl_->plan.kernels->isa; }
Precision Network::precision() const { return impl_->plan.precision; }
int Network::input_h() const { return impl_->plan.input_h; }
int Network::input_w() const { return impl_->plan.input_w; }
int Network::num_outputs() const { return impl_->model.architecture().num_outputs(); }
int Network::num_classes() const { return impl_->model.architecture().num_classes(); }
int Network::embedding_size() const { return impl_->plan.tail.features; }
std::int64_t Network::multiply_adds() const { return impl_->plan.multiply_adds; }

/// The paper's order (Sandler et al. 2018, Table 2): a full convolution, bottlenecks, a 1x1 convolution, average
/// pooling, and the classifier: any number of fully connected layers. The schedule has it in stages (model/plan/stages.h).
void Network::forward(Workspace& workspace, std::span<float> logits) const {
  Workspace::Impl& w = *workspace.impl_;
  check_logits(logits.size(), num_outputs());
  check_workspace(w.context, impl_->plan);
  for (const Step& step : w.schedule.steps)
    w.pool.run(step.parts,
               [&](int part, int thread) { run_stage(w.context, step.stage, step.part(part), thread); });
  std::copy_n(w.context.floats(w.schedule.outputs), logits.size(), logits.data());
}

void Network::forward_timed(Workspace& workspace, std::span<float> logits,
                            std::span<double> layer_seconds) const {
  const auto layers = static_cast<std::size_t>(impl_->plan.layers);
  if (layer_seconds.size() != layers)
    throw Error(ErrorCode::invalid_argument, "layer_seconds: room for " +
                                                 std::to_string(layer_seconds.size()) + ", expected " +
                                                 std::to_string(layers));
  // What forward() throws would leave the clocks in the workspace.
  check_logits(logits.size(), num_outputs());
  check_workspace(workspace.impl_->context, impl_->plan);
  std::vector<double*>& clocks = workspace.impl_->context.layer_seconds;
  std::vector<std::vector<double>> seconds(clocks.size(), std::vector<double>(layers, 0.0));
  for (std::size_t t = 0; t < clocks.size(); ++t) clocks[t] = seconds[t].data();
  forward(workspace, logits);
  for (std::size_t t = 0; t < clocks.size(); ++t) {
    clocks[t] = nullptr;
    for (std::size_t i = 0; i < layers; ++i)
      layer_seconds[i] += seconds[t][i] / static_cast<double>(clocks.size());
  }
}

Workspace::Workspace(const Network& network, int threads) {
  if (threads < 1 || threads > kMaxThreads)
    throw Error(ErrorCode::invalid_argument,
                "threads: " + std::to_string(threads) + ", expected 1 to " + std::to_string(kMaxThreads));
  impl_ = std::make_unique<Impl>(*network.impl_, threads);
}
Workspace::~Workspace() = default;
Workspace::Workspace(Workspace&&) noexcept = default;
Workspace& Workspace::operator=(Workspace&&) noexcept = default;

int Workspace::threads() const { return impl_->pool.threads(); }

PlanarView Workspace::input() {
  const NetworkPlan& plan = impl_->context.plan;
  return {.data = impl_->context.floats(BufferId::planes) + plan.input_row_stride + 1,
          .width = plan.input_w,
          .height = plan.input_h,
          .row_stride = plan.input_row_stride,
          .plane_stride = plan.input_plane_stride};
}

std::span<const float> Workspace::embedding() const {
  return {impl_->context.floats(BufferId::features), std::size_t(impl_->context.plan.tail.features)};
}

}  // namespace mnv2
