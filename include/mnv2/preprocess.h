// Preprocessing: from decoded pixels to the network's input, bit for bit as Pillow does it; to 1e-6 where floats are
// resized.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "mnv2/export.h"
#include "mnv2/isa.h"
#include "mnv2/model.h"

namespace mnv2 {

/// The order of a pixel's three bytes.
enum class ChannelOrder {
  rgb,
  bgr,  ///< As OpenCV has them.
};

/// Interleaved 8-bit pixels that somebody else owns, rows from top to bottom.
struct ImageView {
  const std::uint8_t* data = nullptr;  // [height][row_bytes], 3 bytes a pixel
  int width = 0;                       // 1 to 2^29 pixels
  int height = 0;
  std::ptrdiff_t row_bytes = 0;  // from one row to the next, at least 3 * width, also of a single row
  ChannelOrder order = ChannelOrder::rgb;
};

/// Three float planes (R, G, B) that somebody else owns; the network's input.
struct PlanarView {
  float* data = nullptr;  // [3][plane_stride], each plane [height][row_stride]
  int width = 0;
  int height = 0;
  std::ptrdiff_t row_stride = 0;    // floats
  std::ptrdiff_t plane_stride = 0;  // floats
};

/// What a caller wants otherwise than the model has it.
struct PreprocessingChanges {
  std::optional<ResizeForm> form = {};
  std::optional<int> resize = {};  // pixels
  std::optional<int> crop = {};    // pixels
  std::optional<int> input_size =
      {};  // pixels, a crop that takes the resize with it in proportion; not with `crop`
  std::optional<Interpolation> interpolation = {};
};

/// `preprocessing` with `changes`. What follows from them changes, too: a form without a resize of its own takes the
/// crop's, one that does not give bytes is bilinear.
/// @throws Error{invalid_argument} when the changes contradict each other.
MNV2_API Preprocessing changed(const Preprocessing& preprocessing, const PreprocessingChanges& changes);

/// Resizes, crops and normalises in one of the forms of ResizeForm. Immutable: any number of threads may use one, each with
/// its own Scratch.
class MNV2_API Preprocessor {
 public:
  /// Buffers that calls reuse, one per thread; of no other use.
  class MNV2_API Scratch {
   public:
    Scratch();
    ~Scratch();
    Scratch(Scratch&&) noexcept;
    Scratch& operator=(Scratch&&) noexcept;

   private:
    friend class Preprocessor;
    struct Buffers;
    std::unique_ptr<Buffers> buffers_;
  };

  /// @throws Error{invalid_argument} when crop or resize are not in 1..16384, or differ where the form has no resize of its
  /// own, when the interpolation is not the form's, a mean is not finite, or a std is not positive and finite.
  /// @throws Error{unsupported_isa} when this machine or this build has no kernels for `isa`.
  explicit Preprocessor(const Preprocessing& preprocessing, Isa isa = best_isa());

  const Preprocessing& preprocessing() const { return preprocessing_; }

  /// The crop as 8-bit RGB. Where the crop reaches over the resized image (crop > resize), it is black, as torchvision
  /// pads. Of a form that does not give bytes it is rounded, as something to look at.
  /// @param image only read.
  /// @param out [crop][crop][3], written; not part of `image`.
  /// @throws Error{invalid_argument} for an empty image or `row_bytes` below 3 * width.
  /// @throws Error{image_too_large} for a side above 2^29 pixels, or whose resize needs more than 1 GiB.
  void crop(const ImageView& image, Scratch& scratch, std::uint8_t* out) const;

  /// The crop, normalised: (value / 255 - mean) / std in float32. Borders are those of black pixels. A form that does not
  /// give bytes has the exact values to within 1e-6 of the range of `value / 255`.
  /// @param image only read.
  /// @param out crop x crop, such as Workspace::input(); only those elements are written.
  /// @throws Error{invalid_argument} for an empty image, `row_bytes` below 3 * width or an `out` of another size.
  /// @throws Error{image_too_large} for a side above 2^29 pixels, or whose resize needs more than 1 GiB.
  void operator()(const ImageView& image, Scratch& scratch, const PlanarView& out) const;

 private:
  void normalise_bytes(const ImageView& image, Scratch& scratch, const PlanarView& out) const;
  void normalise_floats(const ImageView& image, Scratch& scratch, const PlanarView& out) const;

  Preprocessing preprocessing_;
  Isa isa_;
  std::array<std::array<float, 256>, 3> normalised_;  // [RGB][value]: (value / 255 - mean) / std in float32
  bool arithmetic_ = false;  // whether the kernels may compute these values instead of looking them up
};

}  // namespace mnv2
