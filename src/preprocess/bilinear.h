// Bilinear resize of whole images in floats, not antialiased: TensorFlow's and TensorFlow.js'.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/pixels/resize.h"
#include "mnv2/preprocess.h"
#include "preprocess/window.h"

namespace mnv2 {

/// The two neighbours that each pixel of an axis lies between.
struct Neighbours {
  std::vector<std::int32_t> first;   // [count]
  std::vector<std::int32_t> second;  // [count], the pixel after first, or first at the end
  std::vector<float> weights;        // [count], of second
};

/// Makes the rows of a resized image one after the other, top to bottom.
class BilinearRows {
 public:
  /// Of `image` nothing is read but the pixels that count; they must stay until the last row().
  /// @param form squash_half_pixel or squash_align_corners.
  void start(const ImageView& image, const CropWindow& window, ResizeForm form,
             const kernels::ResizeKernels& kernels);

  /// Row y, counted from 0; y must not decrease: value * scale + offset, for values of 0 to 255, with each channel's
  /// scale and offset in the image's order. out: three times [window.x.count].
  void row(int y, const kernels::Affine& affine, const std::array<float*, 3>& out);

 private:
  /// The pixels of a source row that are first and second neighbours, side by side.
  struct Picked {
    int row = -1;
    std::vector<std::uint8_t> first;   // [count][3], and what a kernel may read after it
    std::vector<std::uint8_t> second;  // the same
  };

  const Picked& pick(int row);

  ImageView image_;
  kernels::ResizeKernels kernels_{};
  Neighbours columns_;  // in bytes from the beginning of a row
  Neighbours rows_;
  std::array<Picked, 2> picked_;  // even and odd rows: two neighbours are there at once
};

}  // namespace mnv2
