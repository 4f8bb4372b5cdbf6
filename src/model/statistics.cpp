#include "model/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <map>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

namespace mnv2 {
namespace {

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

/// How much an error in each channel matters: see LayerStatistics.
using Importance = std::vector<double>;

/// From a pointwise or fully connected layer's outputs to its inputs.
Importance backward(const Model& model, const Layer& layer, const Importance& outputs) {
  const std::span<const float> weight = model.weight(layer);
  const auto ins = static_cast<std::size_t>(layer.in_c);
  const double most = *std::max_element(outputs.begin(), outputs.end());
  std::vector<float> sums(ins);
  for (std::size_t n = 0; n < outputs.size(); ++n) {
    const auto matters = static_cast<float>(outputs[n] / most);
    const float* const row = weight.data() + n * ins;
    for (std::size_t c = 0; c < ins; ++c) sums[c] += matters * (row[c] * row[c]);
  }
  Importance inputs(ins);
  for (std::size_t c = 0; c < ins; ++c) inputs[c] = most * sums[c];
  return inputs;
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

/// Forward: calls visit(layer, moments of its inputs) for the pointwise layers in order, and for the fully connected ones
/// where they are asked for.
template <typename Visit>
void visit_inputs(const Model& model, bool with_dense, const Visit& visit) {
  const Architecture& architecture = model.architecture();
  const auto through = [&](const Layer& layer, const Moments& in) {
    visit(layer, in);
    return forward(model, layer, in);
  };
  Moments current = forward(model, architecture.stem, image_moments(model.preprocessing()));
  for (const Block& block : architecture.blocks) {
    const Moments hidden =
        forward(model, block.depthwise, block.expand ? through(*block.expand, current) : current);
    Moments projected = through(block.project, hidden);
    if (block.residual) projected.add(current);
    current = std::move(projected);
  }
  if (architecture.head) visit(*architecture.head, current);
  if (!with_dense) return;
  if (architecture.head) current = forward(model, *architecture.head, current);
  for (const Layer& layer : architecture.dense) current = through(layer, current);
}

/// How large the inputs of the pointwise layers are.
NetworkStatistics foretell_inputs(const Model& model) {
  const Architecture& architecture = model.architecture();
  NetworkStatistics statistics;
  statistics.blocks.resize(architecture.blocks.size());
  std::map<const Layer*, LayerStatistics*> places;
  for (std::size_t i = 0; i < architecture.blocks.size(); ++i) {
    const Block& block = architecture.blocks[i];
    if (block.expand) places[&*block.expand] = &statistics.blocks[i].expand;
    places[&block.project] = &statistics.blocks[i].project;
  }
  if (architecture.head) places[&*architecture.head] = &statistics.head;
  visit_inputs(model, false, [&](const Layer& layer, const Moments& in) {
    if (const auto place = places.find(&layer); place != places.end())
      place->second->input_squares = in.squares();
  });
  return statistics;
}

}  // namespace

NetworkStatistics foretell_statistics(const Model& model) {
  const Architecture& architecture = model.architecture();
  NetworkStatistics statistics = foretell_inputs(model);
  const int outputs = architecture.dense.empty() ? architecture.embedding_size() : architecture.num_outputs();
  Importance matters(static_cast<std::size_t>(outputs), 1.0);
  for (std::size_t i = architecture.dense.size(); i-- > 0;)
    matters = backward(model, architecture.dense[i], matters);
  const auto through = [&](const Layer& layer, LayerStatistics& s) {
    s.input_importance = backward(model, layer, matters);
    s.output_importance = std::exchange(matters, s.input_importance);
  };
  if (architecture.head) through(*architecture.head, statistics.head);
  for (std::size_t i = architecture.blocks.size(); i-- > 0;) {
    const Block& block = architecture.blocks[i];
    const Importance after = matters;
    through(block.project, statistics.blocks[i].project);
    matters = backward_depthwise(model, block.depthwise, std::move(matters));
    if (block.expand) through(*block.expand, statistics.blocks[i].expand);
    if (block.residual)
      std::transform(matters.begin(), matters.end(), after.begin(), matters.begin(), std::plus<>());
  }
  return statistics;
}

std::map<const Layer*, std::vector<float>> foretell_input_means(const Model& model) {
  std::map<const Layer*, std::vector<float>> means;
  visit_inputs(model, true, [&](const Layer& layer, const Moments& in) { means[&layer] = in.mean; });
  return means;
}

}  // namespace mnv2
