#include <cstdint>
#include <cstdlib>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <utility>
#include <vector>

#include "app/image/thumbnail.h"
#include "support/catch.h"

using namespace mnv2;

namespace {

/// The left half has one colour, the right half another. Rows have `padding` bytes more than their pixels.
struct TwoColors {
  TwoColors(int width, int height, int padding = 0)
      : pixels(static_cast<std::size_t>(height) * (static_cast<std::size_t>(width) * 3 + padding), 99) {
    view = {.data = pixels.data(),
            .width = width,
            .height = height,
            .row_bytes = width * 3 + padding,
            .order = ChannelOrder::rgb};
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        std::uint8_t* pixel = &pixels[static_cast<std::size_t>(y * view.row_bytes + 3 * x)];
        pixel[0] = x < width / 2 ? 200 : 30;
        pixel[1] = 100;
        pixel[2] = x < width / 2 ? 20 : 180;
      }
    }
  }
  std::vector<std::uint8_t> pixels;
  ImageView view;
};

cv::Mat decoded(const std::vector<std::uint8_t>& file) { return cv::imdecode(file, cv::IMREAD_COLOR); }

/// Blue, green and red within what JPEG loses.
void check_color(const cv::Vec3b& pixel, const cv::Vec3b& expected) {
  for (int c = 0; c < 3; ++c) {
    INFO("channel " << c);
    CHECK(std::abs(pixel[c] - expected[c]) <= 12);
  }
}

}  // namespace

TEST_CASE("a thumbnail has the image's shape and colours") {
  for (const ChannelOrder order : {ChannelOrder::rgb, ChannelOrder::bgr}) {
    TwoColors image(640, 320, 5);
    image.view.order = order;
    const cv::Mat small = decoded(image::make_thumbnail(image.view));
    REQUIRE(small.cols == 128);
    REQUIRE(small.rows == 64);
    const bool rgb = order == ChannelOrder::rgb;
    check_color(small.at<cv::Vec3b>(32, 20), rgb ? cv::Vec3b(20, 100, 200) : cv::Vec3b(200, 100, 20));
    check_color(small.at<cv::Vec3b>(60, 110), rgb ? cv::Vec3b(180, 100, 30) : cv::Vec3b(30, 100, 180));
  }
}

TEST_CASE("thumbnails of any size") {
  const std::vector<std::pair<cv::Size, cv::Size>> sizes{
      {{1, 1}, {1, 1}},       {{10, 7}, {10, 7}},    {{128, 3}, {128, 3}},   {{129, 129}, {128, 128}},
      {{30000, 1}, {128, 1}}, {{2, 5000}, {1, 128}}, {{300, 400}, {96, 128}}};
  for (const auto& [from, to] : sizes) {
    INFO(from.width << " x " << from.height);
    const cv::Mat small = decoded(image::make_thumbnail(TwoColors(from.width, from.height).view));
    CHECK(small.size() == to);
  }
}
