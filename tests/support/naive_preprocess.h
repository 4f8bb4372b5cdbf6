// Images for tests, and preprocessing in plain loops, written from the formulas of Pillow, torchvision, Hugging Face,
// TensorFlow and TensorFlow.js. tests/python/test_preprocessing.py compares with Pillow and torchvision themselves.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "mnv2/preprocess.h"

namespace mnv2::test {

struct Image {
  int width;
  int height;
  std::ptrdiff_t row_bytes;
  std::vector<std::uint8_t> bytes;  // ends with the last pixel, so that a sanitizer sees reads beyond it

  Image(int w, int h, int padding = 0)
      : width(w), height(h), row_bytes(3 * w + padding), bytes(row_bytes * (h - 1) + 3 * w) {}
  ImageView view(ChannelOrder order = ChannelOrder::rgb) const {
    return {.data = bytes.data(), .width = width, .height = height, .row_bytes = row_bytes, .order = order};
  }
  int at(std::int64_t y, std::int64_t x, int c) const { return bytes[row_bytes * y + 3 * x + c]; }
};

enum class Fill { zeros, full, extremes, noise };

inline Image make_image(int width, int height, Fill fill, unsigned seed, int padding = 0) {
  Image image(width, height, padding);
  std::mt19937 random(seed);
  for (std::uint8_t& b : image.bytes) {
    const auto r = static_cast<std::uint8_t>(random() >> 13);
    switch (fill) {
      case Fill::zeros: b = 0; break;
      case Fill::full: b = 255; break;
      case Fill::extremes: b = r % 2 != 0 ? 255 : 0; break;
      case Fill::noise: b = r; break;
    }
  }
  return image;
}

/// What a form does to one axis: source pixels from `begin` on, `length` of them, become `out` pixels, of which those
/// from `offset` on are shown; before them, when it is negative, there is padding.
struct NaiveAxis {
  std::int64_t in;
  double begin;
  double length;
  std::int64_t out;
  std::int64_t offset;

  bool copies() const { return length == double(out) && begin == std::floor(begin); }
};

inline NaiveAxis naive_axis(std::int64_t side, std::int64_t short_side, const Preprocessing& p) {
  const std::int64_t resized = p.resize * side / short_side;
  const std::int64_t margin = resized - p.crop;
  switch (p.form) {
    case ResizeForm::crop:
      return {side, 0, double(side), resized,
              margin < 0 ? -(-margin / 2) : std::int64_t(std::nearbyint(double(margin) / 2))};
    case ResizeForm::crop_floor:
      return {side, 0, double(side), resized, std::int64_t(std::floor(double(margin) / 2))};
    case ResizeForm::fit: return {side, double(side - short_side) / 2, double(short_side), p.crop, 0};
    default: return {side, 0, double(side), p.crop, 0};
  }
}

/// The source pixels that output pixel x of an axis is made of: the first one and the fixed-point weights.
struct Taps {
  std::int64_t first;
  std::vector<std::int64_t> weights;
};

/// Keys' cubic with a = -1/2, from its definition; Pillow's form of it gives the same fixed-point weights.
inline double keys_cubic(double x) {
  const double a = -0.5;
  if (x < 1) return (a + 2) * x * x * x - (a + 3) * x * x + 1;
  return x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a : 0;
}

/// Lanczos' filter of three lobes, from its definition.
inline double lanczos3(double x) {
  const double pi = std::acos(-1.0);
  if (x == 0) return 1;
  return x < 3 ? 3 * std::sin(pi * x) * std::sin(pi * x / 3) / (pi * pi * x * x) : 0;
}

inline Taps naive_taps(const NaiveAxis& axis, std::int64_t x, Interpolation interpolation) {
  if (axis.copies()) return {std::int64_t(axis.begin) + x, {4194304}};
  const double scale = axis.length / double(axis.out);
  if (interpolation == Interpolation::nearest) {
    double position = axis.begin + scale * 0.5;
    for (std::int64_t i = 0; i < x; ++i) position += scale;
    return {std::int64_t(position), {4194304}};
  }
  const double radius = interpolation == Interpolation::lanczos   ? 3
                        : interpolation == Interpolation::bicubic ? 2
                                                                  : 1;
  const double stretch = scale < 1 ? 1 : scale;
  const double support = radius * stretch;
  const double center = axis.begin + (double(x) + 0.5) * scale;
  const auto first = std::max<std::int64_t>(0, std::int64_t(center - support + 0.5));
  const auto last = std::min<std::int64_t>(axis.in, std::int64_t(center + support + 0.5));
  std::vector<double> w;
  double sum = 0;
  for (std::int64_t t = first; t < last; ++t) {
    const double distance = std::fabs((double(t) - center + 0.5) * (1.0 / stretch));
    w.push_back(radius == 3    ? lanczos3(distance)
                : radius == 2  ? keys_cubic(distance)
                : distance < 1 ? 1 - distance
                               : 0);
    sum += w.back();
  }
  Taps taps{first, {}};
  for (const double weight : w) taps.weights.push_back(std::llround(weight / sum * 4194304));
  return taps;
}

inline std::uint8_t from_fixed(std::int64_t sum) {
  return std::uint8_t(std::clamp<std::int64_t>((sum + 2097152) >> 22, 0, 255));
}

/// [crop][crop][3] in the image's channel order, of a form that gives bytes.
inline std::vector<std::uint8_t> naive_crop(const Image& image, const Preprocessing& p) {
  const std::int64_t short_side = std::min(image.width, image.height);
  const NaiveAxis axis_x = naive_axis(image.width, short_side, p);
  const NaiveAxis axis_y = naive_axis(image.height, short_side, p);
  std::vector<std::uint8_t> result(std::size_t{3} * p.crop * p.crop, 0);
  for (int x = 0; x < p.crop; ++x) {
    if (x + axis_x.offset < 0 || x + axis_x.offset >= axis_x.out) continue;
    const Taps across = naive_taps(axis_x, x + axis_x.offset, p.interpolation);
    std::vector<int> column(std::size_t{3} * image.height, -1);  // made when needed
    const auto horizontal = [&](std::int64_t y, int c) {
      int& value = column[3 * y + c];
      if (value >= 0) return value;
      std::int64_t sum = 0;
      for (std::size_t t = 0; t < across.weights.size(); ++t)
        sum += across.weights[t] * image.at(y, across.first + t, c);
      return value = from_fixed(sum);
    };
    for (int y = 0; y < p.crop; ++y) {
      if (y + axis_y.offset < 0 || y + axis_y.offset >= axis_y.out) continue;
      const Taps down = naive_taps(axis_y, y + axis_y.offset, p.interpolation);
      for (int c = 0; c < 3; ++c) {
        std::int64_t sum = 0;
        for (std::size_t t = 0; t < down.weights.size(); ++t)
          sum += down.weights[t] * horizontal(down.first + t, c);
        result[3 * (std::size_t(y) * p.crop + x) + c] = from_fixed(sum);
      }
    }
  }
  return result;
}

/// Where on the source's axis the middle of output pixel x lies, for the forms that do not give bytes.
inline double naive_position(int x, int in, int out, ResizeForm form) {
  if (form == ResizeForm::squash_half_pixel) return (x + 0.5) * in / out - 0.5;
  return out == 1 ? 0.0 : double(x) * (in - 1) / (out - 1);
}

/// The values, 0 to 255, of a form that does not give bytes: [3][crop][crop] in the image's channel order.
inline std::vector<double> naive_float_planes(const Image& image, const Preprocessing& p) {
  std::vector<double> planes;
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < p.crop; ++y)
      for (int x = 0; x < p.crop; ++x) {
        const double px = naive_position(x, image.width, p.crop, p.form);
        const double py = naive_position(y, image.height, p.crop, p.form);
        double sum = 0;
        for (int dy = 0; dy < 2; ++dy)
          for (int dx = 0; dx < 2; ++dx) {
            const double row = std::floor(py) + dy, column = std::floor(px) + dx;
            sum += (1 - std::fabs(py - row)) * (1 - std::fabs(px - column)) *
                   image.at(std::int64_t(std::clamp(row, 0.0, image.height - 1.0)),
                            std::int64_t(std::clamp(column, 0.0, image.width - 1.0)), c);
          }
        planes.push_back(sum);
      }
  return planes;
}

}  // namespace mnv2::test
