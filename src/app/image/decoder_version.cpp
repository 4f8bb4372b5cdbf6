#include "app/image/decoder_version.h"

#include <opencv2/core/utility.hpp>

#include "app/image/webp.h"

namespace mnv2::image {
namespace {

/// What OpenCV's report of its build says of a codec, without folders: "libjpeg.so (ver 62)".
std::string codec(const std::string& report, const std::string& name) {
  const std::size_t line = report.find("\n    " + name + ":");
  if (line == std::string::npos) return "unknown";
  const std::size_t end = report.find('\n', line + 1);
  const std::size_t begin = report.find_first_not_of(' ', report.find(':', line) + 1);
  const std::string value = report.substr(begin, end - begin);
  return value.substr(value.rfind('/', value.find(' ')) + 1);
}

}  // namespace

std::string decoder_version() {
  const std::string& report = cv::getBuildInformation();
  return "OpenCV " + cv::getVersionString() + " (" MNV2_OPENCV_LINKAGE "; JPEG: " + codec(report, "JPEG") +
         "; PNG: " + codec(report, "PNG") + "), WebP: " + webp_version();
}

}  // namespace mnv2::image
