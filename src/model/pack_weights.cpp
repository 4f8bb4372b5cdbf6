// Fills the arena: every panel of the plan, in its order.
#include <span>

#include "kernels/kernels.h"
#include "kernels/packing.h"
#include "model/plan.h"

namespace mnv2 {
namespace {

class Packer {
 public:
  Packer(const Model& model, int lanes, float* arena) : model_(model), lanes_(lanes), arena_(arena) {}

  /// Panels over input channels [first_in, first_in + ins) of `layer`, whose weight is a matrix [out_c][row].
  void pack(const Layer& layer, const std::vector<PanelPlan>& panels, int row, int first_in, int ins) {
    for (const PanelPlan& panel : panels) {
      const int first_out = panel.first_vector * lanes_;
      const int outs = panel.vectors * lanes_;
      kernels::PanelRange range{.first_out = first_out, .outs = outs, .first_in = first_in, .ins = ins};
      if (panel.halves > 0) {
        range.outs = panel.halves * lanes_ / 2;
        kernels::pack_halves(model_.weight(layer), layer.out_c, row, range, lanes_, arena_ + panel.weights);
      } else {
        kernels::pack_panel(model_.weight(layer), layer.out_c, row, range, arena_ + panel.weights);
      }
      kernels::pack_bias(model_.bias(layer), first_out, outs, arena_ + panel.bias);
    }
  }

  /// All input channels of `layer`.
  void pack(const Layer& layer, const std::vector<PanelPlan>& panels) {
    const int row = layer.in_c * layer.kernel * layer.kernel;
    pack(layer, panels, row, 0, row);
  }

  void pack(const BlockPlan& b, const Layer& stem) {
    const Block& block = *b.block;
    for (const ChunkPlan& chunk : b.chunks) {
      if (b.source == RowSource::expand) pack(*block.expand, chunk.produce);
      if (b.source == RowSource::stem) pack(stem, chunk.produce);
      for (int v = 0; v < chunk.vectors; ++v)
        kernels::pack_depthwise(model_.weight(block.depthwise), model_.bias(block.depthwise),
                                (chunk.first_vector + v) * lanes_, lanes_,
                                arena_ + chunk.depthwise + std::size_t(v) * 10 * lanes_);
      pack(block.project, chunk.project, block.project.in_c, chunk.first_vector * lanes_, chunk.channels);
    }
  }

  void pack(const TailPlan& tail) {
    for (const TailStep& step : tail.steps)
      if (tail.head != nullptr) pack(*tail.head, {step.head});
    if (tail.classifier == nullptr) return;
    const Layer& classifier = *tail.classifier;
    kernels::pack_bias(model_.bias(classifier), 0, static_cast<int>(tail.logits_size),
                       arena_ + tail.classifier_bias);
    const int outs = kernels::kLinearVectors * lanes_;
    for (const TailStep& step : tail.steps)
      for (int p = 0; p < tail.classifier_panels; ++p)
        kernels::pack_panel(model_.weight(classifier), classifier.out_c, classifier.in_c,
                            {.first_out = p * outs,
                             .outs = outs,
                             .first_in = step.head.first_vector * lanes_,
                             .ins = step.channels},
                            arena_ + step.classifier + std::size_t(p) * outs * step.channels);
  }

 private:
  const Model& model_;
  int lanes_;
  float* arena_;
};

}  // namespace

void pack_weights(const NetworkPlan& plan, const Model& model, float* arena) {
  Packer packer(model, plan.lanes, arena);
  packer.pack(*plan.stem.layer, plan.stem.panels);
  for (const BlockPlan& block : plan.blocks) packer.pack(block, *plan.stem.layer);
  packer.pack(plan.tail);
}

}  // namespace mnv2
