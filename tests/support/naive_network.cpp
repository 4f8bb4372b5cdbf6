#include "support/naive_network.h"

#include <algorithm>
#include <functional>

namespace mnv2::test {
namespace {

struct Map {
  int c = 0, h = 0, w = 0;
  std::vector<double> values;  // [c][h][w]

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

/// Any convolution of the family: groups are 1, or one per channel for depthwise layers.
Map convolve(const Model& model, const Layer& layer, const Map& in) {
  const int k = layer.kernel;
  const int per_group = layer.kind == LayerKind::depthwise ? 1 : layer.in_c;
  const auto weight = model.weight(layer), bias = model.bias(layer);
  const Padding padding = model.architecture().padding;
  const Axis rows = axis(layer, in.h, padding), columns = axis(layer, in.w, padding);
  Map out{layer.out_c, rows.out, columns.out, {}};
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

NaiveResult run_naive(const Model& model, std::span<const float> image, int h, int w) {
  const Architecture& a = model.architecture();
  Map map = convolve(model, a.stem, {3, h, w, {image.begin(), image.end()}});
  for (const Block& block : a.blocks) {
    Map out = block.expand ? convolve(model, *block.expand, map) : map;
    out = convolve(model, block.project, convolve(model, block.depthwise, out));
    if (block.residual)
      std::transform(out.values.begin(), out.values.end(), map.values.begin(), out.values.begin(),
                     std::plus<>());
    map = std::move(out);
  }
  if (a.head) map = convolve(model, *a.head, map);
  NaiveResult result;
  for (int c = 0; c < map.c; ++c) {
    double sum = 0;
    for (int i = 0; i < map.h * map.w; ++i) sum += map.values[std::size_t(c) * map.h * map.w + i];
    result.embedding.push_back(sum / (map.h * map.w));
  }
  std::vector<double> features = result.embedding;
  for (const Layer& layer : a.dense) {
    const auto weight = model.weight(layer), bias = model.bias(layer);
    result.logits.clear();
    for (int o = 0; o < layer.out_c; ++o) {
      double sum = bias[o];
      for (int c = 0; c < layer.in_c; ++c) sum += features[c] * weight[std::size_t(o) * layer.in_c + c];
      result.logits.push_back(std::clamp<double>(sum, layer.clamp.min, layer.clamp.max));
    }
    features = result.logits;
  }
  return result;
}

}  // namespace mnv2::test
