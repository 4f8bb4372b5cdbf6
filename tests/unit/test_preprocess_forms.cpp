// The forms of preprocessing beside resize and crop with two filters, against naive loops.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/contracts.h"
#include "mnv2/error.h"
#include "mnv2/preprocess.h"
#include "preprocess/nearest.h"
#include "support/catch.h"
#include "support/naive_preprocess.h"

namespace {

using mnv2::ChannelOrder;
using mnv2::Interpolation;
using mnv2::Isa;
using mnv2::Preprocessing;
using mnv2::PreprocessingChanges;
using mnv2::Preprocessor;
using mnv2::ResizeForm;
using mnv2::test::Fill;
using mnv2::test::Image;
using mnv2::test::make_image;

constexpr std::array kInterpolations{Interpolation::bilinear, Interpolation::bicubic, Interpolation::lanczos,
                                     Interpolation::nearest};
constexpr std::array kForms{
    ResizeForm::crop,   ResizeForm::crop_floor,        ResizeForm::fit,
    ResizeForm::squash, ResizeForm::squash_half_pixel, ResizeForm::squash_align_corners};
constexpr std::array kFloatForms{ResizeForm::squash_half_pixel, ResizeForm::squash_align_corners};

std::string describe(const Image& image, const Preprocessing& p, Isa isa) {
  return std::string(isa_name(isa)) + ": " + std::to_string(image.width) + " x " +
         std::to_string(image.height) + ", " + std::string(resize_form_name(p.form)) + " " +
         std::to_string(p.resize) + " " + std::to_string(p.crop) + ", " +
         std::string(interpolation_name(p.interpolation));
}

/// The 8-bit crop of every instruction set equals the naive one, and nothing around it is written.
void check_bytes(const Image& image, const Preprocessing& p) {
  const std::vector<std::uint8_t> expected = mnv2::test::naive_crop(image, p);
  constexpr std::size_t kGuards = 128;
  constexpr std::uint8_t kGuard = 0xa5;
  for (const Isa isa : mnv2::supported_isas()) {
    INFO(describe(image, p, isa));
    std::vector<std::uint8_t> out(expected.size() + 2 * kGuards, kGuard);
    Preprocessor::Scratch scratch;
    Preprocessor(p, isa).crop(image.view(), scratch, out.data() + kGuards);
    CHECK(std::equal(expected.begin(), expected.end(), out.begin() + kGuards));
    CHECK(std::count(out.begin(), out.begin() + kGuards, kGuard) == kGuards);
    CHECK(std::count(out.end() - kGuards, out.end(), kGuard) == kGuards);
  }
}

void check_all_bytes(const Image& image, int resize, int crop) {
  for (const Interpolation interpolation : kInterpolations) {
    check_bytes(image, {.resize = resize, .crop = crop, .interpolation = interpolation});
    check_bytes(
        image,
        {.resize = resize, .crop = crop, .interpolation = interpolation, .form = ResizeForm::crop_floor});
    for (const ResizeForm form : {ResizeForm::fit, ResizeForm::squash})
      check_bytes(image, {.resize = crop, .crop = crop, .interpolation = interpolation, .form = form});
  }
}

/// [3][crop][crop], and a check that nothing beside the planes is written.
std::vector<float> planes_of(const Image& image, const Preprocessing& p, Isa isa,
                             ChannelOrder order = ChannelOrder::rgb) {
  const std::ptrdiff_t row_stride = p.crop + 3;
  const std::ptrdiff_t plane_stride = row_stride * p.crop + 5;
  constexpr int kBefore = 17;
  std::vector<float> out(kBefore + 3 * plane_stride, std::nanf(""));
  Preprocessor::Scratch scratch;
  Preprocessor(p, isa)(image.view(order), scratch,
                       {.data = out.data() + kBefore,
                        .width = p.crop,
                        .height = p.crop,
                        .row_stride = row_stride,
                        .plane_stride = plane_stride});
  std::vector<float> planes;
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < p.crop; ++y)
      for (int x = 0; x < p.crop; ++x)
        planes.push_back(std::exchange(out[kBefore + plane_stride * c + row_stride * y + x], std::nanf("")));
  CHECK(std::all_of(out.begin(), out.end(), [](float v) { return std::isnan(v); }));
  return planes;
}

/// Both float forms on every instruction set: within 1e-6 of the range that the deviation makes of [0, 1].
void check_floats(const Image& image, int side, std::array<float, 3> mean = {0.485f, 0.456f, 0.406f},
                  std::array<float, 3> std = {0.229f, 0.224f, 0.225f}) {
  for (const ResizeForm form : kFloatForms) {
    const Preprocessing p{.resize = side, .crop = side, .mean = mean, .std = std, .form = form};
    const std::vector<double> expected = mnv2::test::naive_float_planes(image, p);
    for (const Isa isa : mnv2::supported_isas()) {
      INFO(describe(image, p, isa));
      const std::vector<float> planes = planes_of(image, p, isa);
      double worst = 0;
      for (std::size_t i = 0; i < planes.size(); ++i) {
        const std::size_t c = i / (planes.size() / 3);
        worst = std::max(worst, std::fabs(planes[i] - (expected[i] / 255 - mean[c]) / std[c]) * std[c]);
      }
      CHECK(worst <= 1e-6);
    }
  }
}

}  // namespace

TEST_CASE("forms with bytes equal naive loops for every width up to 70") {
  unsigned seed = 1;
  for (int width = 1; width <= 70; ++width) {
    const auto fill = static_cast<Fill>(width % 4);
    check_all_bytes(make_image(width, 1 + (width * 7) % 45, fill, ++seed), 24, 20);
    check_all_bytes(make_image(1 + (width * 5) % 37, width, Fill::noise, ++seed, width % 5), 16, 15);
    check_all_bytes(make_image(width, width + 1, Fill::extremes, ++seed), 9, width);
  }
}

TEST_CASE("forms with bytes equal naive loops for real sizes and extreme ratios") {
  unsigned seed = 100;
  check_all_bytes(make_image(500, 375, Fill::noise, ++seed), 256, 224);
  check_all_bytes(make_image(374, 501, Fill::extremes, ++seed, 7), 257, 224);
  check_all_bytes(make_image(224, 225, Fill::noise, ++seed), 224, 224);
  check_all_bytes(make_image(1, 3000, Fill::extremes, ++seed), 5, 64);
  check_all_bytes(make_image(3000, 1, Fill::noise, ++seed), 5, 64);
  check_all_bytes(make_image(30001, 3, Fill::extremes, ++seed), 2, 31);
  check_all_bytes(make_image(3, 30001, Fill::noise, ++seed), 2, 31);
  check_all_bytes(make_image(2, 1, Fill::extremes, ++seed), 300, 300);
  check_all_bytes(make_image(2100, 1701, Fill::noise, ++seed), 1, 1);
  check_all_bytes(make_image(1, 1, Fill::full, ++seed), 7, 7);
}

TEST_CASE("crop-floor cuts an odd margin where Hugging Face does, crop where torchvision does") {
  // Not resized. Of 7 columns a crop of 4 begins at 1 (floor of 1.5) or 2 (1.5 to even); of 2 a crop of 5 has 2 columns
  // of padding before them (ceiling of 1.5) or 1.
  const auto first_column = [](int width, int height, int side, ResizeForm form) {
    Image image(width, height);
    for (int i = 0; i < width * height; ++i) image.bytes[std::size_t{3} * i] = std::uint8_t(1 + i % width);
    std::vector<std::uint8_t> out(std::size_t{3} * side * side);
    Preprocessor::Scratch scratch;
    Preprocessor({.resize = std::min(width, height), .crop = side, .form = form})
        .crop(image.view(), scratch, out.data());
    std::vector<int> row;
    for (int x = 0; x < side; ++x) row.push_back(out[std::size_t{3} * (side / 2 * side + x)]);
    return row;
  };
  CHECK(first_column(7, 4, 4, ResizeForm::crop) == std::vector{3, 4, 5, 6});
  CHECK(first_column(7, 4, 4, ResizeForm::crop_floor) == std::vector{2, 3, 4, 5});
  CHECK(first_column(2, 5, 5, ResizeForm::crop) == std::vector{0, 1, 2, 0, 0});
  CHECK(first_column(2, 5, 5, ResizeForm::crop_floor) == std::vector{0, 0, 1, 2, 0});
}

TEST_CASE("sums of many equal steps are rounded as one after the other") {
  std::mt19937_64 random(7);
  int wrong = 0;
  for (int round = 0; round < 3000; ++round) {
    // A ratio of two sizes, or few digits and a last one that lies between those of larger numbers.
    const double step = round % 3 != 0
                            ? double(1 + random() % 3000) / double(1 + random() % 40000)
                            : std::ldexp(double((1ull << (47 + random() % 5)) + random() % 8 * 2 + 1), -52);
    const double start = step * 0.5 + double(random() % 2000) / 2;
    const auto steps = std::int64_t(random() % 4000);
    double expected = start;
    for (std::int64_t i = 0; i < steps; ++i) expected += step;
    if (mnv2::add_repeatedly(start, step, steps) != expected) ++wrong;
  }
  CHECK(wrong == 0);
  CHECK(mnv2::add_repeatedly(0.5, 1, std::int64_t{1} << 40) == 0.5 + double(std::int64_t{1} << 40));
}

TEST_CASE("nearest takes no longer for the window of an enormous resized image") {
  for (const auto& [width, height] : {std::pair{1, 60000}, {60000, 1}}) {
    const Image image = make_image(width, height, Fill::noise, 3);
    const Preprocessing p{.resize = 16384, .crop = 31, .interpolation = Interpolation::nearest};
    std::vector<std::uint8_t> out(std::size_t{3} * 31 * 31);
    Preprocessor::Scratch scratch;
    Preprocessor(p).crop(image.view(), scratch, out.data());
    // 16384 output pixels lie in each source pixel, and the crop lies at 30000, where two of them meet.
    const std::size_t middle = std::size_t{3} * (31 * 15 + 15);
    for (int c = 0; c < 3; ++c)
      CHECK((out[middle + c] == image.bytes[std::size_t{3} * 29999 + c] ||
             out[middle + c] == image.bytes[std::size_t{3} * 30000 + c]));
  }
}

TEST_CASE("float forms are within 1e-6 of naive loops for every side up to 40") {
  unsigned seed = 400;
  for (int side = 1; side <= 40; ++side) {
    check_floats(make_image(1 + (side * 7) % 61, 1 + (side * 11) % 53, Fill::noise, ++seed, side % 3), side);
    check_floats(make_image(1 + side % 3, 1 + side % 4, Fill::extremes, ++seed), side);
    check_floats(make_image(side, side, Fill::noise, ++seed), side);
  }
}

TEST_CASE("float forms are within 1e-6 of naive loops for real sizes, extreme ratios and other deviations") {
  unsigned seed = 500;
  for (const auto& [width, height] : {std::pair{500, 375},
                                      {224, 224},
                                      {448, 449},
                                      {4000, 3001},
                                      {1, 1},
                                      {1, 30000},
                                      {30000, 1},
                                      {30001, 3},
                                      {2, 2}}) {
    check_floats(make_image(width, height, Fill::noise, ++seed), 224);
    check_floats(make_image(width, height, Fill::extremes, ++seed), 97, {0.5f, 0.5f, 0.5f},
                 {0.5f, 0.5f, 0.5f});
    check_floats(make_image(width, height, Fill::full, ++seed), 33, {0, -3.5f, 1}, {1, 255.0f, 1e-3f});
  }
}

TEST_CASE("the bilinear kernel equals naive sums for every count up to two vectors and writes nothing else") {
  std::mt19937 random(31);
  std::uniform_real_distribution<float> unit(0, 1);
  for (const Isa isa : mnv2::supported_isas()) {
    const auto& kernels = mnv2::kernels::kernel_table(isa).resize;
    for (int count = 1; count <= 37; ++count) {
      std::array<std::vector<std::uint8_t>, 4> rows;
      for (auto& row : rows) {
        row.resize(3 * count + 4);
        for (auto& b : row)
          b = count % 5 == 0 ? std::uint8_t(255 * (random() % 2)) : std::uint8_t(random() >> 9);
      }
      std::vector<float> x_weights(count);
      for (float& w : x_weights) w = random() % 4 == 0 ? float(random() % 2) : unit(random);
      const float y_weight = count % 3 == 0 ? float(count % 2) : unit(random);
      const mnv2::kernels::Affine affine{.scale = {1, 0.017f, -2}, .offset = {0, -2.1f, 300}};
      std::vector<float> out(3 * (count + 8), std::nanf(""));
      float* const planes[] = {out.data() + 8, out.data() + 8 + count + 8, out.data() + 8 + 2 * (count + 8)};
      kernels.bilinear({.upper = {rows[0].data(), rows[1].data()},
                        .lower = {rows[2].data(), rows[3].data()},
                        .x_weights = x_weights.data(),
                        .y_weight = y_weight,
                        .out = {planes[0], planes[1], planes[2]},
                        .count = count,
                        .affine = &affine});
      int wrong = 0;
      for (int c = 0; c < 3; ++c)
        for (int x = 0; x < count; ++x) {
          const auto value = [&](int row) { return double(rows[row][3 * x + c]); };
          const double wx = x_weights[x], wy = y_weight;
          const double expected =
              (1 - wy) * ((1 - wx) * value(0) + wx * value(1)) + wy * ((1 - wx) * value(2) + wx * value(3));
          const double got = std::exchange(planes[c][x], std::nanf(""));
          const double scale = affine.scale[c], offset = affine.offset[c];
          wrong += !(std::fabs(got - (expected * scale + offset)) <=
                     255e-6 * std::fabs(scale) + 6e-8 * std::fabs(offset));
        }
      INFO(isa_name(isa) << ", " << count << " pixels");
      CHECK(wrong == 0);
      CHECK(std::all_of(out.begin(), out.end(), [](float v) { return std::isnan(v); }));
    }
  }
}

TEST_CASE("BGR pixels give the planes and the crop of the same pixels in RGB, in every form") {
  const Image rgb = make_image(61, 47, Fill::noise, 5);
  Image bgr = rgb;
  for (std::size_t i = 0; i < bgr.bytes.size(); i += 3) std::swap(bgr.bytes[i], bgr.bytes[i + 2]);
  for (const Isa isa : mnv2::supported_isas()) {
    for (const ResizeForm form : kForms) {
      const Preprocessing p{.resize = 29, .crop = 29, .form = form};
      INFO(isa_name(isa) << ", " << resize_form_name(form));
      CHECK(planes_of(rgb, p, isa) == planes_of(bgr, p, isa, ChannelOrder::bgr));
      const Preprocessor preprocess(p, isa);
      Preprocessor::Scratch scratch;
      std::vector<std::uint8_t> from_rgb(3 * 29 * 29), from_bgr(3 * 29 * 29);
      preprocess.crop(rgb.view(), scratch, from_rgb.data());
      preprocess.crop(bgr.view(ChannelOrder::bgr), scratch, from_bgr.data());
      CHECK(from_rgb == from_bgr);
    }
  }
}

TEST_CASE("the crop of a float form is its values, rounded") {
  const Image image = make_image(50, 33, Fill::noise, 8);
  for (const ResizeForm form : kFloatForms) {
    const Preprocessing p{.resize = 21, .crop = 21, .form = form};
    const std::vector<double> expected = mnv2::test::naive_float_planes(image, p);
    std::vector<std::uint8_t> crop(3 * 21 * 21);
    Preprocessor::Scratch scratch;
    Preprocessor(p).crop(image.view(), scratch, crop.data());
    int wrong = 0;
    for (int i = 0; i < 21 * 21; ++i)
      for (int c = 0; c < 3; ++c)
        wrong += std::fabs(crop[3 * i + c] - expected[21 * 21 * c + i]) > 0.5 + 1e-4;
    CHECK(wrong == 0);
  }
}

TEST_CASE("one scratch serves all forms in any order") {
  std::mt19937 random(9);
  for (const Isa isa : mnv2::supported_isas()) {
    Preprocessor::Scratch used;
    for (int round = 0; round < 150; ++round) {
      const Image image = make_image(1 + int(random() % 90), 1 + int(random() % 90), Fill::noise, round);
      Preprocessing p{.resize = 1 + int(random() % 40), .crop = 1 + int(random() % 40)};
      p.form = kForms[random() % kForms.size()];
      if (!has_resize(p.form)) p.resize = p.crop;
      if (gives_bytes(p.form)) p.interpolation = kInterpolations[random() % kInterpolations.size()];
      Preprocessor::Scratch fresh;
      std::vector<std::uint8_t> first(std::size_t{3} * p.crop * p.crop), second(first.size());
      Preprocessor(p, isa).crop(image.view(), used, first.data());
      Preprocessor(p, isa).crop(image.view(), fresh, second.data());
      CHECK(first == second);
    }
  }
}

namespace {

template <typename F>
std::string refusal(const F& f, mnv2::ErrorCode code = mnv2::ErrorCode::invalid_argument) {
  try {
    f();
  } catch (const mnv2::Error& e) {
    return e.code() == code ? e.what() : "another code";
  }
  return "no error";
}

std::string refused(const Preprocessing& p) {
  return refusal([&] { const Preprocessor preprocess(p); });
}

}  // namespace

TEST_CASE("what a form cannot have is refused by name") {
  CHECK(refused({.resize = 256, .crop = 224, .form = ResizeForm::crop_floor}) == "no error");
  CHECK(refused({.resize = 256, .crop = 224, .form = ResizeForm::fit}) ==
        "preprocessing: resize is 256, expected the crop's 224 for the form fit");
  CHECK(refused({.resize = 8, .crop = 9, .form = ResizeForm::squash}) ==
        "preprocessing: resize is 8, expected the crop's 9 for the form squash");
  CHECK(refused(
            {.resize = 9, .crop = 9, .interpolation = Interpolation::lanczos, .form = ResizeForm::squash}) ==
        "no error");
  for (const ResizeForm form : kFloatForms)
    CHECK(refused({.resize = 9, .crop = 9, .interpolation = Interpolation::nearest, .form = form}) ==
          "preprocessing: interpolation is nearest, expected bilinear for the form " +
              std::string(resize_form_name(form)));
}

TEST_CASE("a line of hundreds of millions of pixels is refused where its filter would take the memory") {
  // The same byte over and over: the view only says that there are so many. A square of 8 looks at all of them.
  const std::vector<std::uint8_t> row(64);
  const Preprocessing p{
      .resize = 8, .crop = 8, .interpolation = Interpolation::lanczos, .form = ResizeForm::squash};
  std::vector<std::uint8_t> out(3 * 8 * 8);
  Preprocessor::Scratch scratch;
  const int side = 1 << 29;
  const std::string message = refusal(
      [&] {
        Preprocessor(p).crop(
            {.data = row.data(), .width = side, .height = 1, .row_bytes = std::ptrdiff_t{3} * side}, scratch,
            out.data());
      },
      mnv2::ErrorCode::image_too_large);
  CHECK(message.find("image: a side of 536870912 pixels, whose resize to 8 needs ") == 0);
}

TEST_CASE("changes keep what they do not name, and take along what follows") {
  const Preprocessing model{.resize = 256, .crop = 224, .interpolation = Interpolation::bicubic};
  CHECK(changed(model, {}) == model);
  const auto expect = [&](const PreprocessingChanges& changes, int resize, int crop,
                          Interpolation interpolation) {
    const Preprocessing got = changed(model, changes);
    CHECK(got.resize == resize);
    CHECK(got.crop == crop);
    CHECK(got.interpolation == interpolation);
    CHECK(got.form == changes.form.value_or(model.form));
  };
  expect({.resize = 300}, 300, 224, Interpolation::bicubic);
  expect({.crop = 192}, 256, 192, Interpolation::bicubic);
  expect({.input_size = 112}, 128, 112, Interpolation::bicubic);
  expect({.resize = 130, .input_size = 112}, 130, 112, Interpolation::bicubic);
  expect({.interpolation = Interpolation::nearest}, 256, 224, Interpolation::nearest);
  expect({.form = ResizeForm::crop_floor}, 256, 224, Interpolation::bicubic);
  expect({.form = ResizeForm::fit}, 224, 224, Interpolation::bicubic);
  expect({.form = ResizeForm::squash, .crop = 96}, 96, 96, Interpolation::bicubic);
  expect({.form = ResizeForm::squash, .input_size = 96}, 96, 96, Interpolation::bicubic);
  expect({.form = ResizeForm::squash, .resize = 224}, 224, 224, Interpolation::bicubic);
  expect({.form = ResizeForm::squash_half_pixel}, 224, 224, Interpolation::bilinear);
  CHECK(refusal([&] { changed(model, {.form = ResizeForm::fit, .resize = 256}); }) ==
        "preprocessing: resize is 256, expected the crop's 224 for the form fit");
  CHECK(refusal([&] {
          changed(model, {.form = ResizeForm::squash_half_pixel, .interpolation = Interpolation::bicubic});
        }) == "preprocessing: interpolation is bicubic, expected bilinear for the form squash-half-pixel");

  // From a form without a resize of its own.
  const Preprocessing fit{.resize = 224, .crop = 224, .form = ResizeForm::fit};
  CHECK(changed(fit, {.crop = 96}) == Preprocessing{.resize = 96, .crop = 96, .form = ResizeForm::fit});
  CHECK(changed(fit, {.form = ResizeForm::crop, .resize = 256}) == Preprocessing{.resize = 256, .crop = 224});
}
