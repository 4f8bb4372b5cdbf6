// Which decoder this program runs with.
#pragma once

#include <string>

namespace mnv2::image {

/// E.g. "OpenCV 4.6.0", of the library that is loaded, not of the headers.
std::string decoder_version();

}  // namespace mnv2::image
