#include "model/pairing.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace mnv2 {
namespace {

// What cancels may make the error this much larger than a plain sum's.
constexpr double kMaxGain = 4;
// Scales are 2 to the power of at most this: floats have room for the square of either factor.
constexpr int kMaxExponent = 40;

/// How a pointwise layer would fare in pairs, if all its channels made pairs: the mean square of the terms that its sum
/// passes through is inputs / scale^2 + plain + weights * scale^2, when the weights are multiplied by `scale` in
/// relation to the inputs.
struct Terms {
  double inputs = 0;
  double plain = 0;
  double weights = 0;

  /// The scale for which they are least.
  double best_scale() const { return std::pow(inputs / weights, 0.25); }
  /// Whether they are not much larger than those of the plain sum: so much the error grows, about. Channels of very
  /// different size cannot be balanced by one scale.
  bool fit_for_pairs(double scale) const {
    return inputs / (scale * scale) + plain + weights * scale * scale <= kMaxGain * kMaxGain * plain;
  }
};

/// Each term counts as much as the output that it belongs to.
Terms terms_of(const Model& model, const Layer& layer, const LayerStatistics& s) {
  const std::span<const float> weight = model.weight(layer);
  const std::vector<double>& squares = s.input_squares;
  const std::size_t ins = squares.size();
  const double most = *std::max_element(s.output_importance.begin(), s.output_importance.end());
  double all = 0;
  Terms terms;
  for (std::size_t n = 0; n < s.output_importance.size(); ++n) {
    const auto matters = static_cast<float>(s.output_importance[n] / most);
    const float* const row = weight.data() + n * ins;
    float pairs = 0;
    for (std::size_t c = 0; c + 1 < ins; c += 2) pairs += (row[c] * row[c]) * (row[c + 1] * row[c + 1]);
    terms.weights += double(matters) * pairs;
    all += matters;
  }
  for (std::size_t c = 0; c + 1 < ins; c += 2) terms.inputs += all * squares[c] * squares[c + 1];
  for (std::size_t c = 0; c < ins; ++c) terms.plain += squares[c] * (s.input_importance[c] / most);
  return terms;
}

/// The power of two next to `scale`, by which nothing is rounded; 1 where there is none in reach.
float power_of_two(double scale) {
  const double exponent = std::round(std::log2(scale));
  return std::abs(exponent) <= kMaxExponent ? std::ldexp(1.0f, static_cast<int>(exponent)) : 1.0f;
}

/// Whether every activation has an upper bound. What is foretold of others may be far off after some layers, and what
/// cancels with it.
bool is_bounded(const Architecture& architecture) {
  const std::vector<const Layer*> layers = architecture.layers();
  return std::all_of(layers.begin(), layers.end(), [](const Layer* layer) {
    return layer->clamp.is_linear() || layer->clamp.max < std::numeric_limits<float>::infinity();
  });
}

}  // namespace

NetworkPairing choose_pairing(const Model& model, const NetworkStatistics& statistics) {
  const Architecture& architecture = model.architecture();
  NetworkPairing pairing{.blocks = std::vector<BlockPairing>(architecture.blocks.size())};
  if (!is_bounded(architecture)) return pairing;
  if (architecture.head) pairing.head = terms_of(model, *architecture.head, statistics.head).fit_for_pairs(1);
  for (std::size_t i = 0; i < architecture.blocks.size(); ++i) {
    const Block& block = architecture.blocks[i];
    BlockPairing& p = pairing.blocks[i];
    const Terms project = terms_of(model, block.project, statistics.blocks[i].project);
    // The tail may take the last projection for its head: what that reads is not scaled.
    const bool last = i + 1 == architecture.blocks.size() && !architecture.head;
    if (!last) p.filtered_scale = power_of_two(1 / std::sqrt(project.best_scale()));
    p.project = project.fit_for_pairs(1 / (double(p.filtered_scale) * p.filtered_scale));
    if (last) pairing.head = p.project;
    if (block.expand) {
      const Terms expand = terms_of(model, *block.expand, statistics.blocks[i].expand);
      p.hidden_scale = power_of_two(expand.best_scale());
      p.expand = expand.fit_for_pairs(p.hidden_scale);
    }
  }
  return pairing;
}

}  // namespace mnv2
