#include "model/pack.h"

#include <algorithm>
#include <map>
#include <span>
#include <vector>

#include "core/thread_pool.h"
#include "kernels/packing.h"
#include "model/file/model_memory.h"
#include "model/statistics.h"

namespace mnv2 {
namespace {

/// What each layer's inputs are on average, where int8 asks for it: from the file, or foretold.
class InputMeans {
 public:
  InputMeans(const NetworkPlan& plan, const Model& model) : model_(model) {
    const bool asked = plan.precision == Precision::int8;
    if (asked && model.input_mean(model.architecture().stem).empty()) foretold_ = foretell_input_means(model);
  }

  /// [in_c], null where nobody asks, and of the stem, whose weights are not quantised.
  const float* of(const Layer& layer) const {
    if (const auto found = foretold_.find(&layer); found != foretold_.end()) return found->second.data();
    return layer.kind == LayerKind::conv || model_.input_mean(layer).empty()
               ? nullptr
               : model_.input_mean(layer).data();
  }

 private:
  const Model& model_;
  std::map<const Layer*, std::vector<float>> foretold_;
};

class Packer {
 public:
  Packer(const NetworkPlan& plan, const Model& model, std::byte* arena)
      : plan_(plan), model_(model), means_(plan, model), arena_(arena) {}

  /// All input channels of `layer`.
  void pack(const Layer& layer, const Panels& panels, bool is_signed = true, float scale = 1) const {
    const int row = layer.in_c * layer.kernel * layer.kernel;
    pack(layer, panels,
         {.row = row, .in_c = row, .weight_scale = scale, .bias_scale = scale, .is_signed = is_signed},
         panels);
  }

  void pack_stem(const Panels& panels) const {
    pack(*plan_.stem.layer, panels);
    if (!plan_.rounds_to_bf16()) return;
    for (const Panel& panel : panels)
      plan_.kernels->round_to_bf16(floats(panel.weights), floats(panel.weights),
                                   std::ptrdiff_t{27} * panel.vectors() * plan_.lanes());
  }

  void pack(const BlockPlan& b) const {
    const Block& block = *b.block;
    const float hidden_scale = b.pairing.hidden_scale, filtered_scale = b.pairing.filtered_scale;
    for (const ChunkPlan& chunk : b.chunks) {
      if (b.source == RowSource::expand) pack(*block.expand, chunk.produce, b.input_is_signed, hidden_scale);
      if (b.source == RowSource::stem) pack_stem(chunk.produce);
      for (int v = 0; v < chunk.vectors; ++v)
        kernels::pack_depthwise({.weight = model_.weight(block.depthwise).data(),
                                 .bias = model_.bias(block.depthwise).data(),
                                 .channels = block.depthwise.out_c,
                                 .first_channel = (chunk.first_vector + v) * plan_.lanes(),
                                 .weight_scale = filtered_scale / hidden_scale,
                                 .bias_scale = filtered_scale},
                                plan_.lanes(), floats(chunk.depthwise) + std::size_t(v) * 10 * plan_.lanes());
      pack(block.project, chunk.project,
           {.row = block.project.in_c,
            .first_in = chunk.first_vector * plan_.lanes(),
            .in_c = chunk.channels,
            .weight_scale = 1 / filtered_scale,
            .is_signed = b.filtered_is_signed()},
           b.chunks.front().project);
    }
  }

  void pack(const TailStep& step) const {
    const TailPlan& tail = plan_.tail;
    if (tail.head != nullptr) pack(*tail.head, {step.head}, tail.input_is_signed);
    if (tail.classifier == nullptr) return;
    const Layer& classifier = *tail.classifier;
    const int outs = kernels::kLinearVectors * plan_.lanes();
    for (int p = 0; p < tail.classifier_panels; ++p)
      kernels::pack_columns({.weight = model_.weight(classifier).data(),
                             .out_c = classifier.out_c,
                             .row = classifier.in_c,
                             .first_out = p * outs,
                             .first_in = step.head.first_vector * plan_.lanes(),
                             .in_c = step.channels},
                            outs, floats(step.classifier) + std::size_t(p) * outs * step.channels);
  }

  void pack(const DensePlan& dense) const { pack(*dense.layer, dense.panels, dense.input_is_signed); }

  /// The classifier's bias, which is no part of the tail's steps.
  void pack_classifier_bias() const {
    if (plan_.tail.classifier == nullptr) return;
    const std::span<const float> bias = model_.bias(*plan_.tail.classifier);
    std::copy(bias.begin(), bias.end(), floats(plan_.tail.classifier_bias));
  }

 private:
  /// @param part what of the layer goes to a row of panels: row, first_in, in_c and the scales.
  /// @param first the same panels of the chunk that begins the sum.
  void pack(const Layer& layer, const Panels& panels, kernels::PackArgs part, const Panels& first) const {
    part.weight = model_.weight(layer).data();
    part.layer_bias = model_.bias(layer).data();
    part.out_c = layer.out_c;
    part.input_mean = means_.of(layer);
    for (std::size_t i = 0; i < panels.size(); ++i) {
      const Panel& panel = panels[i];
      part.first_out = panel.first_vector * plan_.lanes();
      part.halves = panel.halves;
      part.weights = arena_ + panel.weights;
      part.bias = floats(panel.bias);
      part.first_bias = floats(first[i].bias);
      panel.format->pack(part);
    }
  }

  float* floats(std::size_t offset) const { return reinterpret_cast<float*>(arena_ + offset); }

  const NetworkPlan& plan_;
  const Model& model_;
  InputMeans means_;
  std::byte* arena_;
};

/// A layer's mapped weights are not needed once they are packed: what is mapped shrinks as the arena fills.
/// Only of large layers, most of the weights: each time all threads stop to forget the pages.
void release(const Model& model, const Block& block) {
  constexpr std::size_t kLarge = std::size_t{64} << 10;  // floats
  if (block.expand && model.weight(*block.expand).size() >= kLarge)
    ModelMemory::release(model, *block.expand);
  if (model.weight(block.project).size() >= kLarge) ModelMemory::release(model, block.project);
}

/// What one thread packs at a time: a block, a step of the tail, or a layer after it.
struct Piece {
  const BlockPlan* block = nullptr;
  const TailStep* step = nullptr;
  const DensePlan* dense = nullptr;
  std::size_t weights = 0;  // bytes, about
};

std::vector<Piece> cut(const NetworkPlan& plan, const Model& model) {
  std::vector<Piece> pieces;
  for (const BlockPlan& b : plan.blocks) {
    const Block& block = *b.block;
    const std::size_t expand = block.expand ? model.weight(*block.expand).size() : 0;
    pieces.push_back({.block = &b, .weights = sizeof(float) * (expand + model.weight(block.project).size())});
  }
  for (const TailStep& step : plan.tail.steps)
    pieces.push_back({.step = &step, .weights = step.end - step.head.weights});
  for (const DensePlan& dense : plan.dense)
    pieces.push_back({.dense = &dense, .weights = sizeof(float) * model.weight(*dense.layer).size()});
  return pieces;
}

/// The first pieces of `parts` runs of about as many weights each, and the end of the last.
std::vector<std::size_t> share_out(const std::vector<Piece>& pieces, int parts) {
  std::size_t total = 0;
  for (const Piece& piece : pieces) total += piece.weights;
  std::vector<std::size_t> bounds{0};
  std::size_t sum = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    sum += pieces[i].weights;
    while (bounds.size() < std::size_t(parts) && sum * parts >= total * bounds.size())
      bounds.push_back(i + 1);
  }
  bounds.resize(std::size_t(parts) + 1, pieces.size());
  return bounds;
}

}  // namespace

void pack_weights(const NetworkPlan& plan, const Model& model, ThreadPool& pool, std::byte* arena) {
  const Packer packer(plan, model, arena);
  packer.pack_stem(plan.stem.panels);
  packer.pack_classifier_bias();

  const std::vector<Piece> pieces = cut(plan, model);
  const int parts = pool.threads() == 1 ? 1 : pool.max_parts();
  const std::vector<std::size_t> bounds = share_out(pieces, parts);
  pool.run(parts, [&](int part, int) {
    for (std::size_t i = bounds[part]; i < bounds[part + 1]; ++i) {
      const Piece& piece = pieces[i];
      if (piece.step != nullptr) packer.pack(*piece.step);
      if (piece.dense != nullptr) packer.pack(*piece.dense);
      if (piece.block == nullptr) continue;
      packer.pack(*piece.block);
      release(model, *piece.block->block);
    }
  });
  ModelMemory::release(model);
}

}  // namespace mnv2
