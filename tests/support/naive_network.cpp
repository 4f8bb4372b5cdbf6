#include "support/naive_network.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <utility>

namespace mnv2::test {
namespace {

struct Map {
  int c = 0, h = 0, w = 0;
  std::vector<double> values;  // [c][h][w]
  bool is_signed = true;       // whether values may be negative

  double at(int channel, int y, int x) const {
    if (y < 0 || y >= h || x < 0 || x >= w) return 0.0;
    return values[(std::size_t(channel) * h + y) * w + x];
  }
};

/// Pixels of an output axis and the rows or columns of zeros before the input's first.
struct Axis {
  int out, before;
};

/// PyTorch's padding=(k - 1) / 2, or TensorFlow's "SAME" as tf.nn documents it: the total padding is what the last
/// window lacks, and the smaller half comes first.
Axis axis(const Layer& layer, int in, Padding padding) {
  const int k = layer.kernel, s = layer.stride;
  if (padding == Padding::symmetric) return {(in + (k - 1) / 2 * 2 - k) / s + 1, (k - 1) / 2};
  const int total = std::max(k - (in % s == 0 ? s : in % s), 0);
  return {(in + s - 1) / s, total / 2};
}

/// The nearest bfloat16, halves to even: eight significant bits.
double nearest_bf16(double x) {
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
}

void round_to_bf16(std::vector<double>& values) {
  std::transform(values.begin(), values.end(), values.begin(), nearest_bf16);
}

/// The weights and biases of a layer as a precision has them.
struct Weights {
  std::vector<double> weight, bias;
};

Weights weights_in(const Model& model, const Layer& layer, Precision precision) {
  Weights w{{model.weight(layer).begin(), model.weight(layer).end()},
            {model.bias(layer).begin(), model.bias(layer).end()}};
  if (layer.kind == LayerKind::depthwise || precision == Precision::float32) return w;
  if (precision == Precision::bfloat16) {
    round_to_bf16(w.weight);
    return w;
  }
  if (layer.kind == LayerKind::conv) return w;
  const std::size_t row = w.weight.size() / w.bias.size();
  for (std::size_t o = 0; o < w.bias.size(); ++o) {
    double largest = 0;
    for (std::size_t i = 0; i < row; ++i) largest = std::max(largest, std::abs(w.weight[o * row + i]));
    for (std::size_t i = 0; i < row && largest > 0; ++i) {
      double& weight = w.weight[o * row + i];
      const double rounded = std::nearbyint(weight * 127 / largest) * largest / 127;
      w.bias[o] += (weight - rounded) * model.input_mean(layer)[i];
      weight = rounded;
    }
  }
  return w;
}

/// What a layer multiplies its weights with.
Map inputs_in(const Layer& layer, Map in, Precision precision) {
  if (layer.kind == LayerKind::depthwise || precision == Precision::float32) return in;
  if (precision == Precision::bfloat16) {
    round_to_bf16(in.values);
    return in;
  }
  if (layer.kind == LayerKind::conv) return in;
  const std::size_t pixels = std::size_t(in.h) * in.w;
  const double levels = in.is_signed ? 127 : 255;
  for (std::size_t p = 0; p < pixels; ++p) {
    double largest = 0;
    for (int c = 0; c < in.c; ++c) largest = std::max(largest, std::abs(in.values[c * pixels + p]));
    for (int c = 0; c < in.c && largest > 0; ++c) {
      double& x = in.values[c * pixels + p];
      x = std::nearbyint(x * levels / largest) * largest / levels;
    }
  }
  return in;
}

/// Any convolution of the family: groups are 1, or one per channel for depthwise layers.
Map convolve(const Model& model, const Layer& layer, const Map& input, Precision precision) {
  const int k = layer.kernel;
  const int per_group = layer.kind == LayerKind::depthwise ? 1 : layer.in_c;
  const auto [weight, bias] = weights_in(model, layer, precision);
  const Map in = inputs_in(layer, input, precision);
  const Padding padding = model.architecture().padding;
  const Axis rows = axis(layer, in.h, padding), columns = axis(layer, in.w, padding);
  Map out{layer.out_c, rows.out, columns.out, {}, layer.clamp.min < 0};
  for (int o = 0; o < out.c; ++o)
    for (int y = 0; y < out.h; ++y)
      for (int x = 0; x < out.w; ++x) {
        double sum = bias[o];
        for (int i = 0; i < per_group; ++i)
          for (int ky = 0; ky < k; ++ky)
            for (int kx = 0; kx < k; ++kx)
              sum += in.at(layer.kind == LayerKind::depthwise ? o : i, y * layer.stride - rows.before + ky,
                           x * layer.stride - columns.before + kx) *
                     weight[((std::size_t(o) * per_group + i) * k + ky) * k + kx];
        out.values.push_back(std::clamp<double>(sum, layer.clamp.min, layer.clamp.max));
      }
  return out;
}

}  // namespace

NaiveResult run_naive(const Model& model, std::span<const float> image, int h, int w, Precision precision) {
  const Architecture& a = model.architecture();
  // What a depthwise convolution reads is rounded to bfloat16.
  const auto rounded = [&](Map map) {
    if (precision == Precision::bfloat16) round_to_bf16(map.values);
    return map;
  };
  const auto run = [&](const Layer& layer, const Map& in) { return convolve(model, layer, in, precision); };
  Map map = rounded(run(a.stem, {3, h, w, {image.begin(), image.end()}}));
  for (std::size_t i = 0; i < a.blocks.size(); ++i) {
    const Block& block = a.blocks[i];
    Map out = block.expand ? rounded(run(*block.expand, map)) : map;
    out = run(block.project, run(block.depthwise, out));
    if (block.residual) {
      std::transform(out.values.begin(), out.values.end(), map.values.begin(), out.values.begin(),
                     std::plus<>());
      out.is_signed = out.is_signed || map.is_signed;
    }
    map = i + 1 < a.blocks.size() && !a.blocks[i + 1].expand ? rounded(std::move(out)) : std::move(out);
  }
  if (a.head) map = run(*a.head, map);
  NaiveResult result;
  for (int c = 0; c < map.c; ++c) {
    double sum = 0;
    for (int i = 0; i < map.h * map.w; ++i) sum += map.values[std::size_t(c) * map.h * map.w + i];
    result.embedding.push_back(sum / (map.h * map.w));
  }
  Map features{map.c, 1, 1, result.embedding, map.is_signed};
  for (const Layer& layer : a.dense) {
    features = run(layer, features);
    result.logits = features.values;
  }
  return result;
}

}  // namespace mnv2::test
