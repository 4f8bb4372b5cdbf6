// Tells what is in images, in C++: classify MODEL IMAGE.ppm...
// Prints the five most probable classes of each: index, probability, label.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "mnv2/error.h"
#include "mnv2/session.h"

namespace {

struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> pixels;  // [height][width][3]
};

/// A binary PPM file: "P6 WIDTH HEIGHT 255", one white space, and the pixels. Any decoder serves as well.
Image read_ppm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  Image image;
  int largest = 0;
  file >> magic >> image.width >> image.height >> largest;
  file.get();
  if (!file || magic != "P6" || largest != 255 || image.width < 1 || image.height < 1)
    throw std::runtime_error(path + ": not a PPM file of 8 bits");
  image.pixels.assign(std::istreambuf_iterator<char>(file), {});
  if (image.pixels.size() / 3 / static_cast<std::size_t>(image.width) <
      static_cast<std::size_t>(image.height))
    throw std::runtime_error(path + ": ends early");
  return image;
}

void classify(const std::string& model_path, const std::vector<std::string>& image_paths) {
  const mnv2::LoadedModel model(mnv2::Model::load(model_path));  // never changes: threads share it
  mnv2::Session session(model);                                  // each thread has one of its own
  for (const std::string& path : image_paths) {
    const Image image = read_ppm(path);
    const mnv2::ImageView view{image.pixels.data(), image.width, image.height, 3 * image.width};
    for (const mnv2::Prediction& best : mnv2::top_k(session.classify(view), 5)) {
      const std::vector<std::string>& labels = model.model().labels();
      std::printf("%d\t%.9g\t%s\n", best.index, best.probability,
                  labels.empty() ? "" : labels[best.index].c_str());
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: classify MODEL IMAGE.ppm...\n", stderr);
    return 2;
  }
  try {
    classify(argv[1], {argv + 2, argv + argc});
    return 0;
  } catch (const mnv2::Error& error) {
    std::fprintf(stderr, "classify: %s: %s\n", mnv2::error_code_name(error.code()).data(), error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "classify: %s\n", error.what());
  }
  return 1;
}
