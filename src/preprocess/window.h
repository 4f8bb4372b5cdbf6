// Which part of an image a preprocessing shows, and at what size.
#pragma once

#include <cstdint>

#include "mnv2/model.h"

namespace mnv2 {

/// What the network sees of one axis of an image: a part of the axis is resized, and of that a window is shown.
struct AxisWindow {
  int in = 0;              // source pixels
  double begin = 0;        // where the part begins, in source pixels; it may begin between two of them
  double length = 0;       // how long it is, in source pixels
  std::int64_t out = 0;    // pixels after the resize
  std::int64_t first = 0;  // the first of them that is shown
  int count = 0;           // how many of them are shown
  int pad = 0;             // black pixels before them

  /// Else the pixels shown are source pixels, from first_source() on.
  bool is_resized() const;
  int first_source() const { return static_cast<int>(begin) + static_cast<int>(first); }

  bool operator==(const AxisWindow&) const = default;
};

struct CropWindow {
  AxisWindow x;
  AxisWindow y;
};

/// What the form of `preprocessing` shows of a width x height image.
CropWindow crop_window(int width, int height, const Preprocessing& preprocessing);

}  // namespace mnv2
