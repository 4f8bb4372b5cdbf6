// make_image OUTPUT WIDTH HEIGHT SEED: writes a smooth random picture as the JPEG or PNG that OUTPUT's
// extension names.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: make_image OUTPUT WIDTH HEIGHT SEED\n", stderr);
    return 2;
  }
  const int width = std::atoi(argv[2]);
  const int height = std::atoi(argv[3]);
  const auto seed = static_cast<std::uint32_t>(std::atoi(argv[4]));
  try {
    cv::Mat picture(height, width, CV_8UC3);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        for (int c = 0; c < 3; ++c) {
          // Ramps whose slope depends on the seed: any two seeds look different, and JPEG keeps them apart.
          const std::uint32_t slope = seed * 2654435761u >> (8 * c);
          picture.at<cv::Vec3b>(y, x)[c] =
              static_cast<std::uint8_t>(slope + static_cast<std::uint32_t>(x) * (1 + slope % 5) +
                                        static_cast<std::uint32_t>(y) * (1 + slope % 3));
        }
      }
    }
    if (cv::imwrite(argv[1], picture)) return 0;
    std::fprintf(stderr, "make_image: cannot write %s\n", argv[1]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "make_image: %s\n", e.what());
  }
  return 1;
}
