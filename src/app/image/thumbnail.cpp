#include "app/image/thumbnail.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace mnv2::image {

std::vector<std::uint8_t> make_thumbnail(const ImageView& image) {
  constexpr int kQuality = 80;
  const double scale =
      std::min(1.0, static_cast<double>(kThumbnailSide) / std::max(image.width, image.height));
  const auto scaled = [scale](int side) { return std::max(1, static_cast<int>(std::lround(side * scale))); };
  std::vector<std::uint8_t> file;
  try {
    // A header over the pixels, not a copy; resize does not write to it.
    const cv::Mat pixels(image.height, image.width, CV_8UC3, const_cast<std::uint8_t*>(image.data),
                         static_cast<std::size_t>(image.row_bytes));
    cv::Mat small;
    cv::resize(pixels, small, {scaled(image.width), scaled(image.height)}, 0, 0, cv::INTER_AREA);
    if (image.order == ChannelOrder::rgb) cv::cvtColor(small, small, cv::COLOR_RGB2BGR);
    if (!cv::imencode(".jpg", small, file, {cv::IMWRITE_JPEG_QUALITY, kQuality})) file.clear();
  } catch (const cv::Exception&) {
    file.clear();
  } catch (const std::bad_alloc&) {
    file.clear();
  }
  return file;
}

}  // namespace mnv2::image
