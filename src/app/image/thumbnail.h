// Small pictures of decoded images, for people to look at.
#pragma once

#include <cstdint>
#include <vector>

#include "mnv2/preprocess.h"

namespace mnv2::image {

/// Of the longer side of a thumbnail, pixels.
constexpr int kThumbnailSide = 128;

/// `image` as a small JPEG file: its longer side has kThumbnailSide pixels, or its own number if that is
/// less; averaged over areas. Empty when it cannot be made, which is no reason to lose a result. Thread-safe.
std::vector<std::uint8_t> make_thumbnail(const ImageView& image);

}  // namespace mnv2::image
