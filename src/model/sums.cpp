#include "model/sums.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

namespace mnv2 {
namespace {

// What cancels may make the error this much larger than a plain sum's.
constexpr double kMaxGain = 4;
// Scales are 2 to the power of at most this: floats have room for the square of either factor.
constexpr int kMaxExponent = 40;

/// Mean and variance of each channel, over images and pixels.
struct Moments {
  std::vector<float> mean, variance;

  std::vector<double> squares() const {
    std::vector<double> squares(mean.size());
    for (std::size_t c = 0; c < squares.size(); ++c) squares[c] = double(mean[c]) * mean[c] + variance[c];
    return squares;
  }
  void add(const Moments& other) {
    std::transform(mean.begin(), mean.end(), other.mean.begin(), mean.begin(), std::plus<>());
    std::transform(variance.begin(), variance.end(), other.variance.begin(), variance.begin(), std::plus<>());
  }
};

/// The density of the standard normal distribution, and what lies below.
double density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }
double cumulative(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }

/// Normally distributed values go through a clamp.
void clamp_moments(const Clamp& clamp, float& mean, float& variance) {
  if (clamp.is_linear()) return;
  const double m = mean, s = std::sqrt(variance);
  if (!(s > 0)) {
    mean = std::clamp(mean, clamp.min, clamp.max);
    return;
  }
  double first = 0, second = 0;  // moments
  double inside = 1, slope = 0, curve = 0;
  // Further away than that nothing is left.
  constexpr double kFar = 8;
  if (const double a = (clamp.min - m) / s; a > -kFar) {
    const double below = cumulative(a), at = density(a);
    first += clamp.min * below;
    second += clamp.min * clamp.min * below;
    inside -= below;
    slope += at;
    curve += a * at;
  }
  if (const double b = (clamp.max - m) / s; b < kFar) {
    const double above = cumulative(-b), at = density(b);
    first += clamp.max * above;
    second += clamp.max * clamp.max * above;
    inside -= above;
    slope -= at;
    curve -= b * at;
  }
  first += m * inside + s * slope;
  second += (m * m + s * s) * inside + 2 * m * s * slope + s * s * curve;
  // Where the deviation is much larger than the clamp, little is left of the formulas but what was rounded.
  const double half = (double(clamp.max) - clamp.min) / 2;
  mean = std::clamp(static_cast<float>(first), clamp.min, clamp.max);
  variance = static_cast<float>(std::clamp(second - first * first, 0.0, half * half));
}

/// sum[0] += weights . mean, sum[1] += weights^2 . variance.
void add_products(std::span<const float> weights, const Moments& in, float (&sum)[2]) {
  float mean = 0, variance = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    mean += weights[i] * in.mean[i];
    variance += weights[i] * weights[i] * in.variance[i];
  }
  sum[0] += mean;
  sum[1] += variance;
}

/// The same for the taps of a 3x3 filter on one channel, whose pixels are halfway between independent and equal.
void add_filter(std::span<const float> taps, float mean, float variance, float (&sum)[2]) {
  float total = 0, squares = 0;
  for (const float w : taps) {
    total += w;
    squares += w * w;
  }
  sum[0] += total * mean;
  sum[1] += (squares + total * total) / 2 * variance;
}

/// The moments of a layer's outputs.
Moments forward(const Model& model, const Layer& layer, const Moments& in) {
  const std::span<const float> weight = model.weight(layer), bias = model.bias(layer);
  const auto outs = static_cast<std::size_t>(layer.out_c);
  const std::size_t row = weight.size() / outs;
  Moments out{std::vector<float>(outs), std::vector<float>(outs)};
  for (std::size_t n = 0; n < outs; ++n) {
    const std::span<const float> weights = weight.subspan(n * row, row);
    float sum[2] = {bias[n], 0};
    if (layer.kind == LayerKind::depthwise) {
      add_filter(weights, in.mean[n], in.variance[n], sum);
    } else if (layer.kernel == 1) {
      add_products(weights, in, sum);
    } else {
      const std::size_t taps = row / in.mean.size();
      for (std::size_t c = 0; c < in.mean.size(); ++c)
        add_filter(weights.subspan(c * taps, taps), in.mean[c], in.variance[c], sum);
    }
    clamp_moments(layer.clamp, sum[0], sum[1]);
    out.mean[n] = sum[0];
    out.variance[n] = sum[1];
  }
  return out;
}

/// How a pointwise layer would fare in pairs: the mean square of the terms that its sum passes through is
/// inputs / scale^2 + plain + weights * scale^2, if the weights are multiplied by `scale` in relation to the inputs.
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

/// How much an error in each of a layer's inputs matters, if one in its outputs matters `outputs`: of mean squares, and
/// as if no activation were clamped. `terms`, of the inputs' `squares`, count as much as the output they belong to.
std::vector<double> backward(const Model& model, const Layer& layer, const std::vector<double>& outputs,
                             const std::vector<double>& squares, Terms& terms) {
  const std::span<const float> weight = model.weight(layer);
  const std::size_t ins = squares.size();
  const double most = *std::max_element(outputs.begin(), outputs.end());
  std::vector<float> sums(ins);
  double both = 0, all = 0;
  for (std::size_t n = 0; n < outputs.size(); ++n) {
    const auto matters = static_cast<float>(outputs[n] / most);
    const float* const row = weight.data() + n * ins;
    float pairs = 0;
    for (std::size_t c = 0; c < ins; ++c) sums[c] += matters * (row[c] * row[c]);
    for (std::size_t c = 0; c + 1 < ins; c += 2) pairs += (row[c] * row[c]) * (row[c + 1] * row[c + 1]);
    both += double(matters) * pairs;
    all += matters;
  }
  terms = {.weights = both};
  for (std::size_t c = 0; c + 1 < ins; c += 2) terms.inputs += all * squares[c] * squares[c + 1];
  for (std::size_t c = 0; c < ins; ++c) terms.plain += squares[c] * sums[c];
  std::vector<double> inputs(ins);
  for (std::size_t c = 0; c < ins; ++c) inputs[c] = most * sums[c];
  return inputs;
}

/// The same for a depthwise layer.
std::vector<double> backward(const Model& model, const Layer& layer, std::vector<double> outputs) {
  const std::span<const float> weight = model.weight(layer);
  for (std::size_t c = 0; c < outputs.size(); ++c) {
    double squares = 0;
    for (const float tap : weight.subspan(c * 9, 9)) squares += double(tap) * tap;
    outputs[c] *= squares;
  }
  return outputs;
}

/// The power of two next to `scale`, by which nothing is rounded; 1 where there is none in reach.
float power_of_two(double scale) {
  const double exponent = std::round(std::log2(scale));
  return std::abs(exponent) <= kMaxExponent ? std::ldexp(1.0f, static_cast<int>(exponent)) : 1.0f;
}

/// The moments of the normalised image, if the photo's channels are as those of most photos.
Moments image_moments(const Preprocessing& preprocessing) {
  constexpr float kMean = 0.45f, kDeviation = 0.27f;  // of 0 to 1
  Moments image{std::vector<float>(3), std::vector<float>(3)};
  for (std::size_t c = 0; c < 3; ++c) {
    const float deviation = kDeviation / preprocessing.std[c];
    image.mean[c] = (kMean - preprocessing.mean[c]) / preprocessing.std[c];
    image.variance[c] = deviation * deviation;
  }
  return image;
}

/// What goes into a block's pointwise layers: mean squares.
struct BlockInputs {
  std::vector<double> expand, project;
};

}  // namespace

NetworkSums choose_sums(const Model& model) {
  const Architecture& architecture = model.architecture();
  const std::vector<Block>& blocks = architecture.blocks;
  NetworkSums sums{.blocks = std::vector<BlockSums>(blocks.size())};

  // Forward: how large the inputs are.
  std::vector<BlockInputs> inputs(blocks.size());
  Moments current = forward(model, architecture.stem, image_moments(model.preprocessing()));
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const Block& block = blocks[i];
    inputs[i].expand = current.squares();
    const Moments hidden =
        forward(model, block.depthwise, block.expand ? forward(model, *block.expand, current) : current);
    inputs[i].project = hidden.squares();
    Moments projected = forward(model, block.project, hidden);
    if (block.residual) projected.add(current);
    current = std::move(projected);
  }

  // Backward: how much errors matter.
  Terms terms;
  std::vector<double> matters(static_cast<std::size_t>(architecture.embedding_size()), 1.0);
  if (architecture.classifier)
    matters = backward(model, *architecture.classifier,
                       std::vector<double>(static_cast<std::size_t>(architecture.num_classes()), 1.0),
                       matters, terms);
  if (architecture.head) {
    matters = backward(model, *architecture.head, matters, current.squares(), terms);
    sums.head_in_pairs = terms.fit_for_pairs(1);
  }
  for (std::size_t i = blocks.size(); i-- > 0;) {
    const Block& block = blocks[i];
    BlockSums& s = sums.blocks[i];
    std::vector<double> hidden = backward(model, block.project, matters, inputs[i].project, terms);
    // The tail may take the last projection for its head: what that reads is not scaled.
    const bool last = i + 1 == blocks.size() && !architecture.head;
    if (!last) s.filtered_scale = power_of_two(1 / std::sqrt(terms.best_scale()));
    s.project_in_pairs = terms.fit_for_pairs(1 / (double(s.filtered_scale) * s.filtered_scale));
    if (last) sums.head_in_pairs = s.project_in_pairs;
    hidden = backward(model, block.depthwise, std::move(hidden));
    if (block.expand) {
      hidden = backward(model, *block.expand, hidden, inputs[i].expand, terms);
      s.hidden_scale = power_of_two(terms.best_scale());
      s.expand_in_pairs = terms.fit_for_pairs(s.hidden_scale);
    }
    if (block.residual)
      std::transform(hidden.begin(), hidden.end(), matters.begin(), hidden.begin(), std::plus<>());
    matters = std::move(hidden);
  }
  return sums;
}

}  // namespace mnv2
