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

/// Of one channel, over images and pixels.
struct Moment {
  float mean = 0;
  float variance = 0;
};

/// Those of each channel.
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
Moment clamp_moment(const Clamp& clamp, Moment moment) {
  if (clamp.is_linear()) return moment;
  const double m = moment.mean, s = std::sqrt(moment.variance);
  if (!(s > 0)) return {std::clamp(moment.mean, clamp.min, clamp.max), moment.variance};
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
  return {std::clamp(static_cast<float>(first), clamp.min, clamp.max),
          static_cast<float>(std::clamp(second - first * first, 0.0, half * half))};
}

/// The sum of all channels' products with a row of a matrix.
Moment sum_row(std::span<const float> weights, const Moments& in) {
  Moment sum;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    sum.mean += weights[i] * in.mean[i];
    sum.variance += weights[i] * weights[i] * in.variance[i];
  }
  return sum;
}

/// The sum of a 3x3 filter on each of some channels, whose pixels are halfway between independent and equal.
Moment sum_filters(std::span<const float> taps, const Moments& in, std::size_t first, std::size_t channels) {
  Moment sum;
  for (std::size_t c = 0; c < channels; ++c) {
    float total = 0, squares = 0;
    for (const float w : taps.subspan(c * 9, 9)) {
      total += w;
      squares += w * w;
    }
    sum.mean += total * in.mean[first + c];
    sum.variance += (squares + total * total) / 2 * in.variance[first + c];
  }
  return sum;
}

/// The moments of a layer's outputs.
Moments forward(const Model& model, const Layer& layer, const Moments& in) {
  const std::span<const float> weight = model.weight(layer), bias = model.bias(layer);
  const auto outs = static_cast<std::size_t>(layer.out_c);
  const std::size_t row = weight.size() / outs;
  Moments out{std::vector<float>(outs), std::vector<float>(outs)};
  for (std::size_t n = 0; n < outs; ++n) {
    const std::span<const float> weights = weight.subspan(n * row, row);
    Moment sum = layer.kind == LayerKind::depthwise ? sum_filters(weights, in, n, 1)
                 : layer.kernel == 3                ? sum_filters(weights, in, 0, in.mean.size())
                                                    : sum_row(weights, in);
    sum.mean += bias[n];
    sum = clamp_moment(layer.clamp, sum);
    out.mean[n] = sum.mean;
    out.variance[n] = sum.variance;
  }
  return out;
}

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

/// How much an error in each channel matters: in mean squares, and as if no activation were clamped.
using Importance = std::vector<double>;

struct Backward {
  Importance inputs;
  Terms terms;  // each counts as much as the output that it belongs to
};

/// From a pointwise or fully connected layer's outputs to its inputs, whose mean squares are `squares`.
Backward backward(const Model& model, const Layer& layer, const Importance& outputs,
                  const std::vector<double>& squares) {
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
  Terms terms{.weights = both};
  for (std::size_t c = 0; c + 1 < ins; c += 2) terms.inputs += all * squares[c] * squares[c + 1];
  for (std::size_t c = 0; c < ins; ++c) terms.plain += squares[c] * sums[c];
  Importance inputs(ins);
  for (std::size_t c = 0; c < ins; ++c) inputs[c] = most * sums[c];
  return {std::move(inputs), terms};
}

/// The same for a depthwise layer.
Importance backward_depthwise(const Model& model, const Layer& layer, Importance outputs) {
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
  Importance matters(static_cast<std::size_t>(architecture.embedding_size()), 1.0);
  if (architecture.classifier) {
    const Importance logits(static_cast<std::size_t>(architecture.num_classes()), 1.0);
    matters = backward(model, *architecture.classifier, logits, matters).inputs;
  }
  if (architecture.head) {
    Backward head = backward(model, *architecture.head, matters, current.squares());
    sums.head_in_pairs = head.terms.fit_for_pairs(1);
    matters = std::move(head.inputs);
  }
  for (std::size_t i = blocks.size(); i-- > 0;) {
    const Block& block = blocks[i];
    BlockSums& s = sums.blocks[i];
    Backward project = backward(model, block.project, matters, inputs[i].project);
    // The tail may take the last projection for its head: what that reads is not scaled.
    const bool last = i + 1 == blocks.size() && !architecture.head;
    if (!last) s.filtered_scale = power_of_two(1 / std::sqrt(project.terms.best_scale()));
    s.project_in_pairs = project.terms.fit_for_pairs(1 / (double(s.filtered_scale) * s.filtered_scale));
    if (last) sums.head_in_pairs = s.project_in_pairs;
    Importance before = backward_depthwise(model, block.depthwise, std::move(project.inputs));
    if (block.expand) {
      Backward expand = backward(model, *block.expand, before, inputs[i].expand);
      s.hidden_scale = power_of_two(expand.terms.best_scale());
      s.expand_in_pairs = expand.terms.fit_for_pairs(s.hidden_scale);
      before = std::move(expand.inputs);
    }
    if (block.residual)
      std::transform(before.begin(), before.end(), matters.begin(), before.begin(), std::plus<>());
    matters = std::move(before);
  }
  return sums;
}

}  // namespace mnv2
