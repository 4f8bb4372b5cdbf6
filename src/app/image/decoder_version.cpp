#include "app/image/decoder_version.h"

#include <opencv2/core/utility.hpp>

namespace mnv2::image {

std::string decoder_version() { return "OpenCV " + cv::getVersionString(); }

}  // namespace mnv2::image
