// The way of an image from its file's bytes to the network's input.
#include <algorithm>
#include <cmath>
#include <vector>

#include "app/image/decode.h"
#include "fuzz/fuzz.h"
#include "mnv2/isa.h"
#include "mnv2/preprocess.h"

using mnv2::ErrorCode;
using mnv2::fuzz::require;

namespace {

// Odd sizes, and a crop beyond the resized image, which is padded.
constexpr mnv2::Preprocessing kShapes[] = {
    {.resize = 19, .crop = 17},
    {.resize = 7,
     .crop = 12,
     .interpolation = mnv2::Interpolation::nearest,
     .form = mnv2::ResizeForm::crop_floor},
    {.resize = 13, .crop = 13, .interpolation = mnv2::Interpolation::lanczos, .form = mnv2::ResizeForm::fit},
    {.resize = 9, .crop = 9, .form = mnv2::ResizeForm::squash_half_pixel}};

std::vector<mnv2::Preprocessor> make_preprocessors() {
  std::vector<mnv2::Preprocessor> result;
  for (const mnv2::Preprocessing& shape : kShapes)
    for (const mnv2::Isa isa : mnv2::supported_isas()) result.emplace_back(shape, isa);
  return result;
}

/// The network's input [3][crop][crop]; a sanitizer sees what is written around it.
std::vector<float> preprocess(const mnv2::Preprocessor& preprocessor, const mnv2::ImageView& image,
                              mnv2::Preprocessor::Scratch& scratch) {
  const int crop = preprocessor.preprocessing().crop;
  std::vector<float> input(std::size_t{3} * crop * crop, NAN);
  preprocessor(image, scratch,
               {.data = input.data(),
                .width = crop,
                .height = crop,
                .row_stride = crop,
                .plane_stride = std::ptrdiff_t{crop} * crop});
  return input;
}

/// Bit for bit, or where floats are resized to a few roundings of values up to 1 / std.
bool are_alike(const std::vector<float>& a, const std::vector<float>& b, const mnv2::Preprocessing& shape) {
  if (gives_bytes(shape.form)) return a == b;
  return std::equal(a.begin(), a.end(), b.begin(), [](float x, float y) { return std::abs(x - y) <= 5e-6f; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<mnv2::Preprocessor> preprocessors =
      (mnv2::image::init_decoder(), make_preprocessors());
  static mnv2::Preprocessor::Scratch scratch;
  static const mnv2::image::DecodeOptions kOptions{.limits = {.max_pixels = 1 << 14, .max_scans = 12}};
  mnv2::image::DecodedImage image;
  const bool is_image = mnv2::fuzz::succeeds(
      {ErrorCode::unsupported_format, ErrorCode::damaged_image, ErrorCode::image_too_large}, [&] {
        image = mnv2::image::decode_image({data, size}, kOptions);
      });
  if (!is_image) return 0;
  for (const std::string& warning : image.warnings)
    require(mnv2::fuzz::is_printable(warning), "warning unfit to print: " + warning);
  std::vector<float> expected;
  for (const mnv2::Preprocessor& preprocessor : preprocessors) {
    const std::vector<float> input = preprocess(preprocessor, image.view, scratch);
    for (const float value : input) require(std::isfinite(value), "a network input that is no number");
    if (input.size() == expected.size())
      require(are_alike(input, expected, preprocessor.preprocessing()), "instruction sets that differ");
    expected = input;
  }
  return 0;
}
