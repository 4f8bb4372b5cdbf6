#include "mnv2/network.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "mnv2/error.h"
#include "model/plan.h"
#include "model/run_block.h"
#include "model/sums.h"

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

void check_logits(std::size_t room, int classes) {
  if (room == static_cast<std::size_t>(classes)) return;
  std::string message = "logits: room for " + std::to_string(room) + ", expected " + std::to_string(classes);
  if (classes == 0) message += ": the model has no classifier, only an embedding";
  throw Error(ErrorCode::invalid_argument, message);
}

}  // namespace

struct Network::Impl {
  Model model;
  Isa isa;
  const kernels::KernelTable& kernels;
  NetworkPlan plan;
  AlignedBuffer arena;  // [plan.arena_size] packed weights

  Impl(const Model& m, const NetworkOptions& options)
      : model(m),
        isa(options.isa.value_or(best_isa())),
        kernels(kernels::kernel_table(isa)),
        plan(make_plan(model.architecture(), kernels.lanes,
                       checked_size(options.input_h, m.preprocessing().crop, "input height"),
                       checked_size(options.input_w, m.preprocessing().crop, "input width"),
                       kernels.pointwise_pairs != nullptr ? choose_sums(m) : NetworkSums{})),
        arena(plan.arena_size) {
    const auto pool = make_pool(std::clamp(options.pack_threads, 1, kMaxPackThreads));
    pack_weights(plan, model, *pool, arena.data());
  }
};

struct Workspace::Impl {
  ThreadPool pool;
  AlignedBuffer memory;               // of what follows: large enough for huge pages
  std::span<float> planes;            // [3][input_h + 2][input_row_stride], a zero border around each plane
  std::array<float*, 2> activations;  // [activation_size] the input and the output of a block, in turn
  AlignedBuffer shared_depthwise;
  AlignedBuffer partial;
  AlignedBuffer zero_row;
  AlignedBuffer features;       // [embedding vectors * V] pooled
  AlignedBuffer logits;         // [tail.groups][tail.logits_size]
  AlignedBuffer head_products;  // [features' pixels] pair products of the head's input
  RunContext context;
  int input_h, input_w, embedding_size;

  Impl(const Network::Impl& network, int threads)
      : pool(threads),
        shared_depthwise(threads > 1 ? network.plan.shared_depthwise_size : 0),
        partial(network.plan.partial_size),
        zero_row(network.plan.zero_row_size),
        features(padded(network.plan.tail.features, network.plan.lanes)),
        logits(network.plan.tail.groups * network.plan.tail.logits_size),
        head_products(network.plan.head_in_pairs ? network.plan.features.pixels() : 0),
        context{.plan = network.plan,
                .kernels = network.kernels,
                .arena = network.arena.data(),
                .pool = pool,
                .threads = {},
                .shared_depthwise = shared_depthwise.data(),
                .partial = partial.data(),
                .zero_row = zero_row.data(),
                .head_products = head_products.data()},
        input_h(network.plan.input_h),
        input_w(network.plan.input_w),
        embedding_size(network.plan.tail.features) {
    const NetworkPlan& plan = network.plan;
    const std::size_t planes_size = plan.input_plane_stride * 3;
    const std::size_t activation = padded(plan.activation_size, kCacheLine);
    const std::size_t rows = padded(plan.rows_size, kCacheLine);
    const std::size_t depthwise = padded(plan.depthwise_size, kCacheLine);
    const std::size_t head = padded(plan.head_size, kCacheLine);
    const std::size_t input_products = padded(plan.input_products_size, kCacheLine);
    const std::size_t filtered_products = padded(plan.filtered_products_size, kCacheLine);
    const std::size_t thread = rows + depthwise + head + input_products + filtered_products;
    memory = AlignedBuffer(2 * activation + threads * thread + planes_size);
    float* next = memory.data();
    const auto take = [&](std::size_t size) { return std::exchange(next, next + size); };
    activations = {take(activation), take(activation)};
    for (int t = 0; t < threads; ++t) {
      ThreadBuffers buffers;
      buffers.rows = take(rows);
      buffers.depthwise = take(depthwise);
      buffers.head = take(head);
      buffers.input_products = take(input_products);
      buffers.filtered_products = take(filtered_products);
      context.threads.push_back(buffers);
    }
    planes = {take(planes_size), planes_size};
  }

  static constexpr std::size_t kCacheLine = 16;  // floats
  static std::size_t padded(std::size_t size, std::size_t multiple) {
    return (size + multiple - 1) / multiple * multiple;
  }
};

namespace {

void check_workspace(const RunContext& workspace, const NetworkPlan& network) {
  if (&workspace.plan != &network)
    throw Error(ErrorCode::invalid_argument, "workspace: made for another network");
}

/// The stem on its own, where block 0 cannot take it in.
void run_stem(const RunContext& context, const float* planes, float* tensor) {
  const TensorPlan& out = context.plan.stem_output;
  run_split(context, out.h, [&](Range rows, int thread) {
    const LayerTimer timer(context.threads[thread], context.plan.stem.index);
    float* output = tensor;
    if (out.padded_columns) {
      zero_columns(output, out.vectors, out.block_stride, rows, out.w, context.plan.lanes);
      output += context.plan.lanes;
    }
    for (int y = rows.begin; y < rows.end; ++y)
      for (const PanelPlan& panel : context.plan.stem.panels)
        run_stem_row(context, panel, planes, y,
                     output + panel.first_vector * out.block_stride + y * out.row_stride, out.block_stride);
  });
}

/// One panel of the head: its map, the widest of the network, is never stored.
/// @return the panel's map [vectors][pixels][V]
const float* run_head_panel(const RunContext& context, const PanelPlan& panel, std::size_t step_end,
                            float* map, const float* input) {
  const TensorPlan& in = context.plan.features;
  const Layer& layer = *context.plan.tail.head;
  const int lanes = context.plan.lanes;
  // What is fetched on the way: this step's part of the classifier and the next step's panel.
  const std::size_t panel_end = panel.weights + std::size_t(in.c) * panel.vectors * lanes;
  const auto kernel = pointwise_kernel(context.kernels, panel);
  kernel({.input = input,
          .input_block_stride = in.block_stride,
          .weights = context.arena + panel.weights,
          .bias = context.arena + panel.bias,
          .output = {.data = map, .block_stride = std::ptrdiff_t{in.pixels()} * lanes},
          .in_c = in.c,
          .pixels = in.pixels(),
          .vectors = panel.vectors,
          .clamp_min = layer.clamp.min,
          .clamp_max = layer.clamp.max,
          .prefetch = context.arena + panel_end,
          .prefetch_floats = static_cast<std::ptrdiff_t>(step_end - panel.weights),
          .pair_products = context.head_products});
  return map;
}

/// The features of one step: a panel of the head, or without a head some of the last block's output, pooled.
void run_features(const RunContext& context, const TailStep& step, const ThreadBuffers& thread,
                  const float* input, float* features) {
  const LayerTimer timer(thread, context.plan.tail.pooled_index);
  const TensorPlan& in = context.plan.features;
  const int lanes = context.plan.lanes;
  const PanelPlan& panel = step.head;
  const std::ptrdiff_t block = std::ptrdiff_t{in.pixels()} * lanes;
  const float* map = context.plan.tail.head != nullptr
                         ? run_head_panel(context, panel, step.end, thread.head, input)
                         : input + panel.first_vector * block;
  for (int v = 0; v < panel.vectors; ++v) {
    float* pooled = features + (panel.first_vector + v) * lanes;
    context.kernels.sum_pixels(map + v * block, in.pixels(), pooled);
    for (int l = 0; l < lanes; ++l) pooled[l] /= static_cast<float>(in.pixels());
  }
}

/// Adds the classifier's products with the features of one step to `logits` [logits_size].
void run_classifier_part(const RunContext& context, const TailStep& step, const ThreadBuffers& thread,
                         const float* features, float* logits) {
  const LayerTimer timer(thread, context.plan.tail.classifier_index);
  const int outs = kernels::kLinearVectors * context.plan.lanes;
  for (int p = 0; p < context.plan.tail.classifier_panels; ++p)
    context.kernels.linear(
        {.input = features + step.head.first_vector * context.plan.lanes,
         .weights = context.arena + step.classifier + std::size_t(p) * outs * step.channels,
         .output = logits + p * outs,
         .in_c = step.channels});
}

/// Head, global average pooling and classifier, as far as the network has them, step by step.
/// @param features [tail.features, padded to vectors], written.
/// @param partial [groups][logits_size]; the first becomes the logits.
void run_tail(const RunContext& context, const float* input, float* features, float* partial) {
  const TailPlan& tail = context.plan.tail;
  if (context.plan.head_in_pairs) {
    const TensorPlan& in = context.plan.features;
    run_split(context, in.pixels(), [&](Range pixels, int thread) {
      const LayerTimer timer(context.threads[thread], tail.pooled_index);
      context.kernels.pair_products({.input = input + std::ptrdiff_t{pixels.begin} * context.plan.lanes,
                                     .input_block_stride = in.block_stride,
                                     .output = context.head_products + pixels.begin,
                                     .in_c = in.c,
                                     .pixels = pixels.size()});
    });
  }
  run_split(context, tail.groups, [&](Range groups, int thread) {
    for (int g = groups.begin; g < groups.end; ++g) {
      float* logits = partial + g * tail.logits_size;
      if (g == 0)
        std::copy_n(context.arena + tail.classifier_bias, tail.logits_size, logits);
      else
        std::fill_n(logits, tail.logits_size, 0.0f);
      const Range steps = split(static_cast<int>(tail.steps.size()), tail.groups, g);
      for (int i = steps.begin; i < steps.end; ++i) {
        run_features(context, tail.steps[i], context.threads[thread], input, features);
        if (tail.classifier != nullptr)
          run_classifier_part(context, tail.steps[i], context.threads[thread], features, logits);
      }
    }
  });
  for (int g = 1; g < tail.groups; ++g)
    for (std::size_t i = 0; i < tail.logits_size; ++i) partial[i] += partial[g * tail.logits_size + i];
}

}  // namespace

Network::Network(const Model& model, const NetworkOptions& options)
    : impl_(std::make_unique<const Impl>(model, options)) {}
Network::~Network() = default;
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;

const Model& Network::model() const { return impl_->model; }
Isa Network::isa() const { return impl_->isa; }
int Network::input_h() const { return impl_->plan.input_h; }
int Network::input_w() const { return impl_->plan.input_w; }
int Network::num_classes() const { return impl_->model.architecture().num_classes(); }
int Network::embedding_size() const { return impl_->plan.tail.features; }
std::int64_t Network::multiply_adds() const { return impl_->plan.multiply_adds; }

/// The paper's order (Sandler et al. 2018, Table 2): a full convolution, bottlenecks, a 1x1 convolution, average
/// pooling, and the classifier. A block without expansion at the start takes the stem in.
void Network::forward(Workspace& workspace, std::span<float> logits) const {
  check_logits(logits.size(), num_classes());
  check_workspace(workspace.impl_->context, impl_->plan);
  Workspace::Impl& w = *workspace.impl_;
  const RunContext& context = w.context;
  const NetworkPlan& plan = impl_->plan;
  const float* current = w.planes.data();
  float* next = w.activations[0];
  float* other = w.activations[1];
  const auto advance = [&] { current = std::exchange(next, std::exchange(other, next)); };

  if (!plan.stem.panels.empty()) {
    run_stem(context, current, next);
    advance();
  }
  for (const BlockPlan& block : plan.blocks) {
    run_block(context, block, current, next);
    advance();
  }
  run_tail(context, current, w.features.data(), w.logits.data());
  if (plan.tail.classifier == nullptr) return;
  const Clamp& clamp = plan.tail.classifier->clamp;
  std::transform(w.logits.data(), w.logits.data() + logits.size(), logits.begin(),
                 [&](float logit) { return std::clamp(logit, clamp.min, clamp.max); });
}

void Network::forward_timed(Workspace& workspace, std::span<float> logits,
                            std::span<double> layer_seconds) const {
  const auto layers = static_cast<std::size_t>(impl_->plan.layers);
  if (layer_seconds.size() != layers)
    throw Error(ErrorCode::invalid_argument, "layer_seconds: room for " +
                                                 std::to_string(layer_seconds.size()) + ", expected " +
                                                 std::to_string(layers));
  // What forward() throws would leave the clocks in the workspace.
  check_logits(logits.size(), num_classes());
  check_workspace(workspace.impl_->context, impl_->plan);
  std::vector<ThreadBuffers>& threads = workspace.impl_->context.threads;
  std::vector<std::vector<double>> seconds(threads.size(), std::vector<double>(layers, 0.0));
  for (std::size_t t = 0; t < threads.size(); ++t) threads[t].layer_seconds = seconds[t].data();
  forward(workspace, logits);
  for (std::size_t t = 0; t < threads.size(); ++t) {
    threads[t].layer_seconds = nullptr;
    for (std::size_t i = 0; i < layers; ++i)
      layer_seconds[i] += seconds[t][i] / static_cast<double>(threads.size());
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
  return {.data = impl_->planes.data() + plan.input_row_stride + 1,
          .width = impl_->input_w,
          .height = impl_->input_h,
          .row_stride = plan.input_row_stride,
          .plane_stride = plan.input_plane_stride};
}

std::span<const float> Workspace::embedding() const {
  return {impl_->features.data(), std::size_t(impl_->embedding_size)};
}

}  // namespace mnv2
