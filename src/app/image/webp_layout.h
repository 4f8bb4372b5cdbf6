// Where things are in a WebP file, for this room only.
#pragma once

#include <cstddef>

#include "app/image/header_parts.h"

namespace mnv2::image {

/// A frame of an animation, in pixels of the canvas.
struct WebpFrame {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
  Bytes image;  // its VP8 or VP8L chunk, with the chunk's head
};

struct WebpLayout {
  int width = 0;  // of the canvas
  int height = 0;
  bool has_alpha = false;
  bool is_animation = false;
  int orientation = 1;
  WebpFrame frame;  // the first one of an animation
  Bytes file;       // without what follows it
};

/// @throws Error{damaged_image, unsupported_format}
WebpLayout read_webp_layout(Bytes bytes);

}  // namespace mnv2::image
