// Fills the arena: every panel of the plan. The plan's order is the file's, so threads take ranges of both.
#include <algorithm>
#include <span>
#include <vector>

#include "core/thread_pool.h"
#include "kernels/kernels.h"
#include "kernels/packing.h"
#include "model/plan.h"

namespace mnv2 {
namespace {

class Packer {
 public:
  Packer(const Model& model, int lanes, float* arena) : model_(model), lanes_(lanes), arena_(arena) {}

  /// What of a layer, whose weight is a matrix [out_c][row], goes to a row of panels.
  struct Part {
    int row = 0;
    int first_in = 0;  // input channels [first_in, first_in + ins)
    int ins = 0;
    float weight_scale = 1;
    float bias_scale = 1;
  };

  /// @param biased the same panels of the chunk that begins the sum: its bias holds the pair products of all.
  void pack(const Layer& layer, const std::vector<PanelPlan>& panels, const Part& part,
            const std::vector<PanelPlan>& biased) const {
    for (std::size_t i = 0; i < panels.size(); ++i) {
      const PanelPlan& panel = panels[i];
      const int first_out = panel.first_vector * lanes_;
      const int outs = panel.vectors * lanes_;
      float* const weights = arena_ + panel.weights;
      float* const bias = arena_ + panel.bias;
      kernels::PanelRange range{
          .first_out = first_out, .outs = outs, .first_in = part.first_in, .ins = part.ins};
      if (panel.halves > 0) {
        range.outs = panel.halves * lanes_ / 2;
        kernels::pack_halves(model_.weight(layer), layer.out_c, part.row, range, lanes_, weights);
      } else {
        kernels::pack_panel(model_.weight(layer), layer.out_c, part.row, range, weights);
      }
      kernels::pack_bias(model_.bias(layer), first_out, outs, bias);
      multiply({weights, bias}, part.weight_scale);  // the bias follows the weights
      multiply({bias, std::size_t(outs)}, part.bias_scale);
      if (panel.pairs)
        kernels::subtract_pair_products(weights, part.ins, outs, lanes_, arena_ + biased[i].bias);
    }
  }

  /// All input channels of `layer`.
  void pack(const Layer& layer, const std::vector<PanelPlan>& panels, float scale = 1) const {
    const int row = layer.in_c * layer.kernel * layer.kernel;
    pack(layer, panels, {.row = row, .ins = row, .weight_scale = scale, .bias_scale = scale}, panels);
  }

  /// @param stem the network's, which block 0 may have taken in.
  void pack(const BlockPlan& b, const Layer& stem) const {
    const Block& block = *b.block;
    for (const ChunkPlan& chunk : b.chunks) {
      if (b.source == RowSource::expand) pack(*block.expand, chunk.produce, b.sums.hidden_scale);
      if (b.source == RowSource::stem) pack(stem, chunk.produce);
      for (int v = 0; v < chunk.vectors; ++v) {
        float* const filter = arena_ + chunk.depthwise + std::size_t(v) * 10 * lanes_;
        float* const bias = filter + std::ptrdiff_t{9} * lanes_;
        kernels::pack_depthwise(model_.weight(block.depthwise), model_.bias(block.depthwise),
                                (chunk.first_vector + v) * lanes_, lanes_, filter);
        multiply({filter, bias}, b.sums.filtered_scale / b.sums.hidden_scale);
        multiply({bias, std::size_t(lanes_)}, b.sums.filtered_scale);
      }
      pack(block.project, chunk.project,
           {.row = block.project.in_c,
            .first_in = chunk.first_vector * lanes_,
            .ins = chunk.channels,
            .weight_scale = 1 / b.sums.filtered_scale},
           b.chunks.front().project);
    }
  }

  void pack(const TailPlan& tail, const TailStep& step) const {
    if (tail.head != nullptr) pack(*tail.head, {step.head});
    if (tail.classifier == nullptr) return;
    const Layer& classifier = *tail.classifier;
    const int outs = kernels::kLinearVectors * lanes_;
    for (int p = 0; p < tail.classifier_panels; ++p)
      kernels::pack_panel(model_.weight(classifier), classifier.out_c, classifier.in_c,
                          {.first_out = p * outs,
                           .outs = outs,
                           .first_in = step.head.first_vector * lanes_,
                           .ins = step.channels},
                          arena_ + step.classifier + std::size_t(p) * outs * step.channels);
  }

  void pack_classifier_bias(const TailPlan& tail) const {
    if (tail.classifier == nullptr) return;
    kernels::pack_bias(model_.bias(*tail.classifier), 0, static_cast<int>(tail.logits_size),
                       arena_ + tail.classifier_bias);
  }

 private:
  static void multiply(std::span<float> values, float factor) {
    if (factor == 1) return;
    for (float& value : values) value *= factor;
  }

  const Model& model_;
  int lanes_;
  float* arena_;
};

/// A layer's mapped weights are not needed once they are packed: what is mapped shrinks as the arena fills.
/// Only of large layers, most of the weights: each time all threads stop to forget the pages.
void release(const Model& model, const Block& block) {
  constexpr std::size_t kLarge = std::size_t{64} << 10;  // floats
  if (block.expand && model.weight(*block.expand).size() >= kLarge) model.release(*block.expand);
  if (model.weight(block.project).size() >= kLarge) model.release(block.project);
}

/// What one thread packs at a time: a block, or a step of the tail.
struct Piece {
  const BlockPlan* block = nullptr;
  const TailStep* step = nullptr;
  std::size_t weights = 0;  // floats, about
};

std::vector<Piece> cut(const NetworkPlan& plan, const Model& model) {
  std::vector<Piece> pieces;
  for (const BlockPlan& b : plan.blocks) {
    const Block& block = *b.block;
    const std::size_t expand = block.expand ? model.weight(*block.expand).size() : 0;
    pieces.push_back({.block = &b, .weights = expand + model.weight(block.project).size()});
  }
  for (const TailStep& step : plan.tail.steps)
    pieces.push_back({.step = &step, .weights = step.end - step.head.weights});
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

void pack_weights(const NetworkPlan& plan, const Model& model, ThreadPool& pool, float* arena) {
  const Packer packer(model, plan.lanes, arena);
  const Layer& stem = *plan.stem.layer;
  packer.pack(stem, plan.stem.panels);
  packer.pack_classifier_bias(plan.tail);

  const std::vector<Piece> pieces = cut(plan, model);
  const int parts = pool.threads() == 1 ? 1 : pool.max_parts();
  const std::vector<std::size_t> bounds = share_out(pieces, parts);
  pool.run(parts, [&](int part, int) {
    for (std::size_t i = bounds[part]; i < bounds[part + 1]; ++i) {
      const Piece& piece = pieces[i];
      if (piece.block == nullptr) {
        packer.pack(plan.tail, *piece.step);
        continue;
      }
      packer.pack(*piece.block, stem);
      release(model, *piece.block->block);
    }
  });
  model.release();
}

}  // namespace mnv2
