#include "preprocess/filter.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "mnv2/error.h"

namespace mnv2 {
namespace {

constexpr int kWeightBits = 22;
constexpr int kLowBits = 11;

int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }

/// A triangle of radius 1.
double bilinear(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

/// Keys' cubic (1981) of radius 2 with a = -0.5, in Pillow's form.
double bicubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0.0;
}

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

/// Lanczos' window (1956): sinc of radius 3 times its middle third.
double lanczos(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

struct Shape {
  double (*weight)(double x);
  double radius;
};

Shape shape_of(Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::bicubic: return {bicubic, 2.0};
    case Interpolation::lanczos: return {lanczos, 3.0};
    case Interpolation::bilinear:
    case Interpolation::nearest: break;
  }
  return {bilinear, 1.0};
}

/// Pillow's arithmetic, operation by operation: every rounding counts.
struct Sampling {
  Sampling(const AxisWindow& window, Interpolation interpolation)
      : shape(shape_of(interpolation)),
        begin(window.begin),
        scale(window.length / static_cast<double>(window.out)),
        support(shape.radius * std::max(scale, 1.0)),
        inverse_scale(1.0 / std::max(scale, 1.0)) {}

  double center(std::int64_t x) const { return begin + (static_cast<double>(x) + 0.5) * scale; }
  double weight(int tap, double center_x) const {
    return shape.weight((tap - center_x + 0.5) * inverse_scale);
  }
  static int fixed_point(double weight) {
    return static_cast<int>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kWeightBits));
  }

  Shape shape;
  double begin;
  double scale;
  double support;
  double inverse_scale;  // of a reduction; 1 for an enlargement
};

}  // namespace

void check_resize_bytes(std::int64_t bytes, const AxisWindow& window) {
  if (bytes <= kMaxResizeBytes) return;
  throw Error(ErrorCode::image_too_large,
              "image: a side of " + std::to_string(window.in) + " pixels, whose resize to " +
                  std::to_string(window.out) + " needs " + std::to_string(bytes >> 20) +
                  " MiB, expected at most " + std::to_string(kMaxResizeBytes >> 20));
}

void Filter::build(const AxisWindow& window, Interpolation interpolation) {
  if (window == window_ && interpolation == interpolation_) return;
  window_ = {};  // should an allocation fail, nothing is taken for built

  const Sampling sampling(window, interpolation);
  const int pixels = round_up(window.count, pixel_multiple_);
  taps_.resize(pixels);
  max_taps_ = 0;
  for (int i = 0; i < window.count; ++i) {
    const double center = sampling.center(window.first + i);
    const int begin = std::max(0, static_cast<int>(center - sampling.support + 0.5));
    const int end = std::min(window.in, static_cast<int>(center + sampling.support + 0.5));
    taps_[i] = {begin, end};
    max_taps_ = std::max(max_taps_, end - begin);
  }
  std::fill(taps_.begin() + window.count, taps_.end(), taps_[window.count - 1]);

  pairs_ = round_up((max_taps_ + 1) / 2, pair_multiple_);
  check_resize_bytes(std::int64_t{4} * pairs_ * pixels * static_cast<int>(sizeof(std::int16_t)), window);
  weights_.assign(std::size_t{4} * pairs_ * pixels, 0);
  exact_.resize(max_taps_);
  for (int i = 0; i < window.count; ++i) {
    const auto [begin, end] = taps_[i];
    const double center = sampling.center(window.first + i);
    double sum = 0.0;
    for (int tap = begin; tap < end; ++tap) sum += exact_[tap - begin] = sampling.weight(tap, center);
    std::int16_t* out = weights_.data() + std::size_t{4} * pairs_ * i;
    for (int t = 0; t < end - begin; ++t) {
      const int fixed = Sampling::fixed_point(exact_[t] / sum);
      std::int16_t* pair = out + t / 2 * 4 + t % 2;
      pair[0] = static_cast<std::int16_t>(fixed >> kLowBits);  // rounds down, so that the rest is positive
      pair[2] = static_cast<std::int16_t>(fixed & ((1 << kLowBits) - 1));
    }
  }
  window_ = window;
  interpolation_ = interpolation;
}

}  // namespace mnv2
