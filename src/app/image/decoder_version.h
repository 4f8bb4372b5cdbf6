// Which decoder this program runs with.
#pragma once

#include <string>

namespace mnv2::image {

/// E.g. "OpenCV 4.6.0 (shared; JPEG: libjpeg.so (ver 62); PNG: libpng.so (ver 1.6.39)), WebP: libwebp 1.2.4", of the library that is
/// loaded, not of the headers; the codecs are those it was built with.
std::string decoder_version();

}  // namespace mnv2::image
