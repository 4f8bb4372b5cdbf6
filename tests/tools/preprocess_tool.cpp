// Runs the preprocessor for other programs' tests, case after case until its input ends. All numbers are in
// the machine's byte order.
//   stdin, per case: int32 width, height, resize, crop, bgr (0 or 1), interpolation, form (as the enumerations count);
//                    float mean[3], std[3]; pixels [height][width][3]
//   stdout, first: int32 number of instruction sets that this machine can run
//   stdout, per case and instruction set: bytes [crop][crop][3], floats [3][crop][crop]
#include <array>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <vector>

#include "mnv2/isa.h"
#include "mnv2/preprocess.h"

namespace {

template <typename T>
bool read(T* to, std::size_t count) {
  return std::fread(to, sizeof(T), count, stdin) == count;
}

template <typename T>
void write(const T* from, std::size_t count) {
  std::fwrite(from, sizeof(T), count, stdout);
}

struct Case {
  std::int32_t width, height, resize, crop, bgr, interpolation, form;
  std::array<float, 3> mean, std;
};

void run(const Case& c, const std::vector<std::uint8_t>& pixels, mnv2::Isa isa) {
  const mnv2::Preprocessor preprocess({.resize = c.resize,
                                       .crop = c.crop,
                                       .mean = c.mean,
                                       .std = c.std,
                                       .interpolation = static_cast<mnv2::Interpolation>(c.interpolation),
                                       .form = static_cast<mnv2::ResizeForm>(c.form)},
                                      isa);
  mnv2::Preprocessor::Scratch scratch;
  const mnv2::ImageView image{.data = pixels.data(),
                              .width = c.width,
                              .height = c.height,
                              .row_bytes = std::ptrdiff_t{3} * c.width,
                              .order = c.bgr != 0 ? mnv2::ChannelOrder::bgr : mnv2::ChannelOrder::rgb};
  const std::size_t plane = static_cast<std::size_t>(c.crop) * c.crop;
  std::vector<std::uint8_t> crop(plane * 3);
  std::vector<float> input(plane * 3);
  preprocess.crop(image, scratch, crop.data());
  preprocess(image, scratch,
             {.data = input.data(),
              .width = c.crop,
              .height = c.crop,
              .row_stride = c.crop,
              .plane_stride = static_cast<std::ptrdiff_t>(plane)});
  write(crop.data(), crop.size());
  write(input.data(), input.size());
}

}  // namespace

int main() try {
  const std::vector<mnv2::Isa> isas = mnv2::supported_isas();
  const auto count = static_cast<std::int32_t>(isas.size());
  write(&count, 1);
  std::fflush(stdout);
  Case c;
  while (read(&c, 1)) {
    // Exactly the image and nothing more: a sanitizer sees every byte read beyond it.
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(c.width) * c.height * 3);
    if (!read(pixels.data(), pixels.size())) {
      std::fputs("preprocess_tool: input ends within an image\n", stderr);
      return 1;
    }
    for (const mnv2::Isa isa : isas) run(c, pixels, isa);
    std::fflush(stdout);
  }
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "preprocess_tool: %s\n", e.what());
  return 1;
}
