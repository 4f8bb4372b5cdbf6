// Time of resize + crop + normalise (to 224) by image size and instruction set, all in one run: interleaved
// rounds, so that a busy machine slows all of them alike. bench_preprocess [rounds [form [interpolation]]]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "mnv2/error.h"
#include "mnv2/isa.h"
#include "mnv2/preprocess.h"

namespace {

struct Size {
  int width;
  int height;
};
constexpr Size kSizes[] = {{500, 375},  {375, 500},   {256, 256},   {64, 64},
                           {1024, 768}, {1920, 1080}, {4000, 3000}, {30000, 1}};

double microseconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double, std::micro>(d).count();
}

}  // namespace

int main(int argc, char** argv) try {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 301;
  constexpr int kCrop = 224;
  mnv2::Preprocessing preprocessing{.resize = 256, .crop = kCrop};
  if (argc > 2) preprocessing.form = mnv2::parse_resize_form(argv[2]);
  if (argc > 3) preprocessing.interpolation = mnv2::parse_interpolation(argv[3]);
  if (!has_resize(preprocessing.form)) preprocessing.resize = kCrop;
  const std::vector<mnv2::Isa> isas = mnv2::supported_isas();
  std::vector<mnv2::Preprocessor> preprocessors;
  for (const mnv2::Isa isa : isas) preprocessors.emplace_back(preprocessing, isa);
  std::vector<float> input(3 * kCrop * kCrop);
  const mnv2::PlanarView out{.data = input.data(),
                             .width = kCrop,
                             .height = kCrop,
                             .row_stride = kCrop,
                             .plane_stride = kCrop * kCrop};
  std::printf("median us (min), %d rounds, %s %d, crop %d, %s, one thread\n%-12s", rounds,
              resize_form_name(preprocessing.form).data(), preprocessing.resize, kCrop,
              interpolation_name(preprocessing.interpolation).data(), "size");
  for (const mnv2::Isa isa : isas) std::printf("%20s", isa_name(isa).data());
  std::printf("\n");

  for (const Size size : kSizes) {
    std::vector<std::uint8_t> pixels(std::size_t{3} * size.width * size.height);
    std::uint32_t random = 1;
    for (std::uint8_t& p : pixels)
      p = static_cast<std::uint8_t>((random = random * 1664525u + 1013904223u) >> 24);
    const mnv2::ImageView image{.data = pixels.data(),
                                .width = size.width,
                                .height = size.height,
                                .row_bytes = std::ptrdiff_t{3} * size.width};
    std::vector<std::vector<double>> times(isas.size());
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < isas.size(); ++i) {
        mnv2::Preprocessor::Scratch scratch;  // new each time: a program rarely sees the same size twice
        const auto start = std::chrono::steady_clock::now();
        preprocessors[i](image, scratch, out);
        times[i].push_back(microseconds(std::chrono::steady_clock::now() - start));
      }
    }
    std::printf("%5d x %-5d", size.width, size.height);
    for (std::vector<double>& t : times) {
      std::sort(t.begin(), t.end());
      std::printf("%11.1f (%6.1f)", t[t.size() / 2], t.front());
    }
    std::printf("\n");
  }
} catch (const mnv2::Error& e) {
  std::fprintf(stderr, "bench_preprocess: %s\n", e.what());
  return 1;
}
