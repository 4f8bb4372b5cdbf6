// The weights of Pillow's antialiased filters (its src/libImaging/Resample.c), for the kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "preprocess/window.h"

namespace mnv2 {

/// A filter's weights for the pixels of a window, in the form that the kernels take.
class Filter {
 public:
  /// Each pixel gets pairs() pairs of taps, a multiple of `pair_multiple`; pixels without weight are appended
  /// until there is a multiple of `pixel_multiple`.
  Filter(int pair_multiple, int pixel_multiple)
      : pair_multiple_(pair_multiple), pixel_multiple_(pixel_multiple) {}

  /// Cheap when the arguments are those of the last call.
  /// @param interpolation not nearest.
  /// @throws Error{image_too_large} when the weights would need more than kMaxResizeBytes.
  void build(const AxisWindow& window, Interpolation interpolation);

  int pixels() const { return static_cast<int>(taps_.size()); }

  int begin(int i) const { return taps_[i].begin; }  // the first source pixel that output pixel i depends on
  int end(int i) const { return taps_[i].end; }      // one past the last
  int max_taps() const { return max_taps_; }
  int pairs() const { return pairs_; }
  const std::int16_t* weights(int i) const {
    return weights_.data() + std::size_t{4} * pairs_ * i;
  }  // [pairs][4]

 private:
  struct Taps {
    int begin;
    int end;
  };

  int pair_multiple_;
  int pixel_multiple_;
  AxisWindow window_;
  Interpolation interpolation_ = Interpolation::bilinear;
  int max_taps_ = 0;
  int pairs_ = 0;
  std::vector<Taps> taps_;             // [pixels]
  std::vector<std::int16_t> weights_;  // [pixels][pairs][4], see kernels/pixels/resize.h
  std::vector<double> exact_;          // [max_taps]
};

/// More than a resize with any sense needs. A line of hundreds of millions of pixels would take what memory there is.
inline constexpr std::int64_t kMaxResizeBytes = std::int64_t{1} << 30;

/// @throws Error{image_too_large} when `bytes`, for the resize of `window`, are more than kMaxResizeBytes.
void check_resize_bytes(std::int64_t bytes, const AxisWindow& window);

}  // namespace mnv2
