// Pillow's nearest resize (its src/libImaging/Geometry.c, ImagingScaleAffine), of which only a window is computed.
#pragma once

#include <cstdint>
#include <vector>

#include "mnv2/preprocess.h"
#include "preprocess/window.h"

namespace mnv2 {

/// `position` after `steps` times `position += step`, with the rounding of each, in a time that hardly grows with
/// `steps`. Both positive; the step at least 2^-50 of where it ends.
double add_repeatedly(double position, double step, std::int64_t steps);

/// Makes the rows of a window, whose pixels are pixels of the image.
class NearestRows {
 public:
  /// `image` must stay until the last row().
  void start(const ImageView& image, const CropWindow& window);

  /// Row y of the window, counted from 0. The channels keep the image's order. out: [window.x.count][3].
  void row(int y, std::uint8_t* out) const;

 private:
  ImageView image_;
  std::vector<std::int32_t> columns_;  // [window.x.count], the bytes before each pixel of a row
  std::vector<std::int32_t> rows_;     // [window.y.count]
};

}  // namespace mnv2
