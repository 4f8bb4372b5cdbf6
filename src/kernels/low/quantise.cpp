#include "kernels/low/quantise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>

namespace mnv2::kernels {
namespace {

// Sums and maxima run in as many lanes, so that the compiler can take vectors for them, and always the same ones.
constexpr int kLanes = 8;

float largest_magnitude(const float* values, int count) {
  std::array<float, kLanes> largest{};
  int i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int l = 0; l < kLanes; ++l) largest[l] = std::max(largest[l], std::abs(values[i + l]));
  for (; i < count; ++i) largest[0] = std::max(largest[0], std::abs(values[i]));
  return *std::max_element(largest.begin(), largest.end());
}

/// To the nearest integer, halves to even, of magnitudes below 2^22: what does not fit behind the point of a float this
/// large is rounded away.
float nearest(float x) {
  constexpr float kLarge = 12582912.0f;  // 1.5 * 2^23
  return (x + kLarge) - kLarge;
}

/// A part of an output channel's weights as steps of its scale.
constexpr int kPart = 512;  // whole groups of any format
struct Part {
  std::array<float, kPart> steps{};
  std::array<std::int8_t, kPart> values{};
};

/// @return the sum of the values
std::int32_t quantise(const float* weight, float scale, int count, Part& part) {
  for (int c = 0; c < count; ++c) part.steps[c] = nearest(weight[c] / scale);
  std::int32_t sum = 0;
  for (int c = 0; c < count; ++c) {
    part.values[c] = static_cast<std::int8_t>(part.steps[c]);
    sum += part.values[c];
  }
  return sum;
}

/// The sum of what the rounding took from the weights, times the inputs' means.
double lost_on_average(const float* weight, float scale, const Part& part, const float* mean, int count) {
  std::array<double, kLanes> lost{};
  for (int c = 0; c < count; ++c)
    lost[c % kLanes] += (double(weight[c]) - double(scale) * part.steps[c]) * mean[c];
  double sum = 0;
  for (const double lane : lost) sum += lane;
  return sum;
}

/// Where the weights of one output stand in a panel: `channels` neighbours, then those of the other outputs.
struct PanelColumn {
  std::byte* first = nullptr;
  std::ptrdiff_t stride = 0;  // bytes from group to group
  int channels = 0;
  int weight_bytes = 0;

  /// Channels [from, from + count), of which `from` begins a group.
  void write(int from, const std::int8_t* values, int count) const {
    std::byte* group = first + from / channels * stride;
    for (int c = 0; c < count; c += channels, group += stride) {
      std::byte* to = group;
      for (int k = c; k < std::min(c + channels, count); ++k, to += weight_bytes) {
        const auto wide = static_cast<std::int16_t>(values[k]);  // the low byte first, wherever this runs
        std::memcpy(to, &wide, weight_bytes);
      }
    }
  }
};

}  // namespace

void pack_int8(const PackArgs& args, const Int8Panel& panel) noexcept {
  const int outs = (args.halves + 1) / 2 * panel.lanes;
  const int group_bytes = panel.channels * panel.weight_bytes;
  const int groups = (args.in_c + panel.channels - 1) / panel.channels;
  std::byte* const starts = args.weights + outs * sizeof(float);
  std::byte* const values = starts + outs * sizeof(std::int32_t);
  std::memset(args.weights, 0, values - args.weights + std::size_t(groups) * outs * group_bytes);
  std::fill_n(args.bias, outs, 0.0f);
  Part part;
  for (int n = 0; n < std::min(outs, args.out_c - args.first_out); ++n) {
    const int out = args.first_out + n;
    const float* const weight = args.weight + std::size_t(out) * args.row + args.first_in;
    const PanelColumn column{values + n * group_bytes, std::ptrdiff_t{outs} * group_bytes, panel.channels,
                             panel.weight_bytes};
    const float scale = largest_magnitude(weight, args.in_c) / 127;
    std::int32_t sum = 0;
    double bias = args.layer_bias[out];
    for (int first = 0; first < args.in_c && scale > 0; first += kPart) {
      const int count = std::min(kPart, args.in_c - first);
      sum += quantise(weight + first, scale, count, part);
      column.write(first, part.values.data(), count);
      if (args.input_mean != nullptr)
        bias += lost_on_average(weight + first, scale, part, args.input_mean + args.first_in + first, count);
    }
    args.bias[n] = static_cast<float>(bias);
    const std::int32_t start = args.is_signed ? -panel.zero * sum : 0;
    std::memcpy(args.weights + n * sizeof(float), &scale, sizeof(scale));
    std::memcpy(starts + n * sizeof(start), &start, sizeof(start));
  }
}

}  // namespace mnv2::kernels
