// Resize, centre crop and normalisation against naive loops, and the kernels of them; test_preprocess_forms.cpp has the
// other forms.
#include "mnv2/preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "kernels/contracts.h"
#include "mnv2/error.h"
#include "support/catch.h"
#include "support/naive_preprocess.h"

namespace {

using mnv2::ChannelOrder;
using mnv2::ImageView;
using mnv2::Interpolation;
using mnv2::Isa;
using mnv2::PlanarView;
using mnv2::Preprocessing;
using mnv2::Preprocessor;

using mnv2::test::Fill;
using mnv2::test::from_fixed;
using mnv2::test::Image;
using mnv2::test::make_image;

std::vector<std::uint8_t> naive_crop(const Image& image, int resize, int crop,
                                     Interpolation interpolation = Interpolation::bilinear) {
  return mnv2::test::naive_crop(image, {.resize = resize, .crop = crop, .interpolation = interpolation});
}

constexpr std::uint8_t kGuard = 0xa5;

std::vector<std::uint8_t> our_crop(const Image& image, int resize, int crop, Isa isa,
                                   Preprocessor::Scratch& scratch, ChannelOrder order = ChannelOrder::rgb,
                                   Interpolation interpolation = Interpolation::bilinear) {
  constexpr std::size_t kGuards = 128;
  const std::size_t size = std::size_t{3} * crop * crop;
  std::vector<std::uint8_t> guarded(size + 2 * kGuards, kGuard);
  const Preprocessor preprocess({.resize = resize, .crop = crop, .interpolation = interpolation}, isa);
  preprocess.crop(image.view(order), scratch, guarded.data() + kGuards);
  for (std::size_t i = 0; i < kGuards; ++i)
    if (guarded[i] != kGuard || guarded[kGuards + size + i] != kGuard) FAIL("written outside the crop");
  return {guarded.begin() + kGuards, guarded.end() - kGuards};
}

void check_crop(const Image& image, int resize, int crop) {
  for (const Interpolation interpolation : {Interpolation::bilinear, Interpolation::bicubic}) {
    const std::vector<std::uint8_t> expected = naive_crop(image, resize, crop, interpolation);
    for (const Isa isa : mnv2::supported_isas()) {
      INFO(isa_name(isa) << ": " << image.width << " x " << image.height << ", resize " << resize << ", crop "
                         << crop << ", " << interpolation_name(interpolation));
      Preprocessor::Scratch scratch;
      const bool equal =
          our_crop(image, resize, crop, isa, scratch, ChannelOrder::rgb, interpolation) == expected;
      CHECK(equal);
    }
  }
}

std::vector<float> naive_planes(const std::vector<std::uint8_t>& rgb, const Preprocessing& p) {
  const std::size_t plane = std::size_t(p.crop) * p.crop;
  std::vector<float> planes(3 * plane);
  for (std::size_t i = 0; i < plane; ++i)
    for (std::size_t c = 0; c < 3; ++c) {
      const volatile float unit =
          float(rgb[3 * i + c]) / 255.0f;  // volatile: every step is rounded to float32
      const volatile float centred = unit - p.mean[c];
      planes[plane * c + i] = centred / p.std[c];
    }
  return planes;
}

}  // namespace

TEST_CASE("crops equal the naive resize for every width up to 70") {
  unsigned seed = 1;
  for (int width = 1; width <= 70; ++width) {
    const auto fill = static_cast<Fill>(width % 4);
    for (const auto& [resize, crop] : {std::pair{24, 20}, {9, 7}, {33, 33}, {5, 12}})
      check_crop(make_image(width, 1 + (width * 7) % 45, fill, ++seed), resize, crop);
    check_crop(make_image(1 + (width * 5) % 37, width, Fill::noise, ++seed, width % 5), 16, 15);
  }
}

TEST_CASE("crops equal the naive resize for real sizes, extreme ratios and extreme values") {
  unsigned seed = 100;
  for (const Fill fill : {Fill::zeros, Fill::full, Fill::extremes, Fill::noise}) {
    check_crop(make_image(500, 375, fill, ++seed), 256, 224);
    check_crop(make_image(1, 30000, fill, ++seed), 256, 224);
    check_crop(make_image(30000, 1, fill, ++seed), 256, 224);
    check_crop(make_image(30001, 3, fill, ++seed), 2, 31);
  }
  for (const auto& [width, height] :
       {std::pair{256, 256}, {224, 500}, {500, 224}, {257, 256}, {256, 255}, {767, 513}}) {
    check_crop(make_image(width, height, Fill::noise, ++seed, 7), 256, 224);
    check_crop(make_image(width, height, Fill::noise, ++seed), 224, 224);
    check_crop(make_image(width, height, Fill::noise, ++seed), 232, 224);
    check_crop(make_image(width, height, Fill::noise, ++seed), 64, 97);
  }
  check_crop(make_image(2100, 1700, Fill::noise, ++seed), 1, 1);
  check_crop(make_image(2100, 1700, Fill::noise, ++seed), 3, 5);
  check_crop(make_image(5000, 40, Fill::extremes, ++seed), 7, 7);
}

TEST_CASE("only the window of an enormous resized image is computed") {
  // Whole, these would be 16384 x 983,040,000 pixels and 60,000 x 16384 times as many the other way round.
  check_crop(make_image(1, 60000, Fill::noise, 1), 16384, 31);
  check_crop(make_image(60000, 1, Fill::noise, 2), 16384, 31);
}

TEST_CASE("BGR pixels give the crop of the same pixels in RGB") {
  const Image rgb = make_image(61, 47, Fill::noise, 5);
  Image bgr = rgb;
  for (std::size_t i = 0; i < bgr.bytes.size(); i += 3) std::swap(bgr.bytes[i], bgr.bytes[i + 2]);
  for (const Isa isa : mnv2::supported_isas()) {
    Preprocessor::Scratch scratch;
    const auto from_rgb = our_crop(rgb, 32, 29, isa, scratch);
    const auto from_bgr = our_crop(bgr, 32, 29, isa, scratch, ChannelOrder::bgr);
    const auto mistaken = our_crop(bgr, 32, 29, isa, scratch);
    CHECK(from_rgb == from_bgr);
    CHECK(from_rgb != mistaken);
  }
}

TEST_CASE("planes are the normalised crop, bit for bit, and nothing beside them is written") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Isa isa : mnv2::supported_isas()) {
    for (int crop = 1; crop <= 40; ++crop) {
      const Preprocessing p{
          .resize = crop + 3, .crop = crop, .mean = {0.1f, 0.5f, 0.77f}, .std = {0.3f, 0.225f, 1.7f}};
      const auto order = crop % 2 == 0 ? ChannelOrder::rgb : ChannelOrder::bgr;
      const Image image = make_image(50, 41, Fill::noise, crop);
      Preprocessor::Scratch scratch;
      const std::vector<float> expected =
          naive_planes(our_crop(image, p.resize, crop, isa, scratch, order), p);

      const std::ptrdiff_t row_stride = crop + 3;
      const std::ptrdiff_t plane_stride = row_stride * crop + 5;
      constexpr int kBefore = 17;
      std::vector<float> out(kBefore + 3 * plane_stride, nan);
      const Preprocessor preprocess(p, isa);
      preprocess(image.view(order), scratch,
                 {.data = out.data() + kBefore,
                  .width = crop,
                  .height = crop,
                  .row_stride = row_stride,
                  .plane_stride = plane_stride});
      std::size_t wrong = 0;
      for (int c = 0; c < 3; ++c)
        for (int y = 0; y < crop; ++y)
          for (int x = 0; x < crop; ++x) {
            float& got = out[kBefore + plane_stride * c + row_stride * y + x];
            if (got != expected[(std::size_t(c) * crop + y) * crop + x]) ++wrong;
            got = nan;
          }
      const auto written = std::count_if(out.begin(), out.end(), [](float v) { return !std::isnan(v); });
      INFO(isa_name(isa) << ", crop " << crop);
      CHECK(wrong == 0);
      CHECK(written == 0);
    }
  }
}

TEST_CASE("normalisation is exact for means and deviations that defeat the fast arithmetic") {
  Image values(16, 16);
  for (std::size_t i = 0; i < values.bytes.size(); ++i) values.bytes[i] = std::uint8_t(i / 3);
  std::mt19937 random(3);
  std::uniform_real_distribution<float> unit(0.001f, 1.0f);
  for (const Isa isa : mnv2::supported_isas()) {
    for (int round = 0; round < 60; ++round) {
      Preprocessing p{.resize = 16, .crop = 16};
      for (float& m : p.mean) m = unit(random);
      for (float& s : p.std)
        s = round < 40 ? unit(random) : std::ldexp(unit(random), -135 + 4 * (round % 20));
      Preprocessor::Scratch scratch;
      const std::vector<float> expected = naive_planes(our_crop(values, 16, 16, isa, scratch), p);
      std::vector<float> out(3 * 256);
      Preprocessor(p, isa)(
          values.view(), scratch,
          {.data = out.data(), .width = 16, .height = 16, .row_stride = 16, .plane_stride = 256});
      INFO(isa_name(isa) << ", round " << round << ", std " << p.std[0]);
      CHECK(out == expected);
    }
  }
}

TEST_CASE("one scratch serves images of all sizes in any order") {
  std::mt19937 random(9);
  for (const Isa isa : mnv2::supported_isas()) {
    Preprocessor::Scratch used;
    for (int round = 0; round < 60; ++round) {
      const Image image = make_image(1 + int(random() % 90), 1 + int(random() % 90), Fill::noise, round);
      const int resize = 1 + int(random() % 40);
      const int crop = 1 + int(random() % 40);
      const auto interpolation = random() % 2 == 0 ? Interpolation::bilinear : Interpolation::bicubic;
      Preprocessor::Scratch fresh;
      const bool equal = our_crop(image, resize, crop, isa, used, ChannelOrder::rgb, interpolation) ==
                         our_crop(image, resize, crop, isa, fresh, ChannelOrder::rgb, interpolation);
      CHECK(equal);
    }
  }
}

TEST_CASE("threads share a preprocessor") {
  const Preprocessor preprocess({.resize = 40, .crop = 33});
  const Image image = make_image(120, 77, Fill::noise, 11);
  const auto expected = naive_crop(image, 40, 33);
  std::vector<int> failures(4, 0);
  std::vector<std::thread> threads;
  for (int& failed : failures)
    threads.emplace_back([&] {
      Preprocessor::Scratch scratch;
      for (int round = 0; round < 50; ++round) {
        std::vector<std::uint8_t> out(expected.size());
        preprocess.crop(image.view(), scratch, out.data());
        failed += out != expected;
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(failures == std::vector<int>(4, 0));
}

TEST_CASE("the horizontal kernel equals naive sums for any weights and reads only its blocks") {
  std::mt19937 random(21);
  for (const Isa isa : mnv2::supported_isas()) {
    const auto& kernels = mnv2::kernels::kernel_table(isa).resize;
    REQUIRE(kernels.rows <= mnv2::kernels::ResizeKernels::kMaxRows);
    for (const int blocks : {1, 2, 3, 7, 60}) {
      for (const int pixels : {4, 8, 12, 36}) {
        const int row_bytes = 3 * 5 + 12 * (blocks - 1) + 16;
        const bool extreme = pixels == 8;
        std::vector<std::vector<std::uint8_t>> rows(kernels.rows), out(kernels.rows);
        const std::uint8_t *row[4], *next[4];
        std::uint8_t* to[4];
        for (int r = 0; r < kernels.rows; ++r) {
          rows[r].resize(row_bytes);
          for (auto& b : rows[r]) b = extreme ? 255 : std::uint8_t(random() >> 9);
          out[r].assign(3 * pixels + 4 + 8, kGuard);
          row[r] = next[r] = rows[r].data();
          to[r] = out[r].data();
        }
        // Weights whose sum is 2^22 or a little less or more, as rounding leaves them; every fourth pixel's are
        // negative but for the last, as a bicubic filter's may be in part.
        std::vector<std::int32_t> starts(pixels);
        std::vector<std::vector<std::int64_t>> weights(pixels, std::vector<std::int64_t>(4 * blocks));
        std::vector<std::int16_t> packed(std::size_t{8} * blocks * pixels);
        for (int x = 0; x < pixels; ++x) {
          starts[x] = 3 * int(random() % 6);
          std::int64_t left = 4194304 + int(random() % 200) - 100;
          for (int t = 0; t < 4 * blocks; ++t) {
            const std::int64_t w = t + 1 == 4 * blocks || x % 3 == 0 ? left
                                   : x % 4 == 1 ? -std::int64_t(random() % (2 * 4194304 / blocks / 16))
                                                : std::int64_t(random() % (left + 1));
            weights[x][t] = std::min<std::int64_t>(w, 2 * 4194304);
            left -= weights[x][t];
            std::int16_t* pair = packed.data() + (x * blocks * 2 + t / 2) * 4;
            pair[t % 2] = std::int16_t(weights[x][t] >> 11);
            pair[2 + t % 2] = std::int16_t(weights[x][t] & 2047);
          }
        }
        kernels.horizontal({.rows = row,
                            .next_rows = next,
                            .out = to,
                            .starts = starts.data(),
                            .weights = packed.data(),
                            .pixels = pixels,
                            .blocks = blocks});
        int wrong = 0;
        for (int r = 0; r < kernels.rows; ++r) {
          for (int x = 0; x < pixels; ++x)
            for (int c = 0; c < 3; ++c) {
              std::int64_t sum = 0;
              for (int t = 0; t < 4 * blocks; ++t) sum += weights[x][t] * rows[r][starts[x] + 3 * t + c];
              wrong += out[r][3 * x + c] != from_fixed(sum);
            }
          wrong += std::count(out[r].end() - 8, out[r].end(), kGuard) != 8;
        }
        INFO(isa_name(isa) << ": " << blocks << " blocks, " << pixels << " pixels");
        CHECK(wrong == 0);
      }
    }
  }
}

TEST_CASE("the vertical kernel equals naive sums for any weights, also when there are very many") {
  std::mt19937 random(22);
  for (const Isa isa : mnv2::supported_isas()) {
    const auto& kernels = mnv2::kernels::kernel_table(isa).resize;
    for (const int pairs : {1, 2, 3, 5, 40, 40000}) {
      for (const int bytes : {64, 128, 192, 704}) {
        if (pairs == 40000 && bytes > 64) continue;
        const bool extreme = pairs % 2 == 0;
        std::vector<std::vector<std::uint8_t>> rows(std::min(2 * pairs, 80),
                                                    std::vector<std::uint8_t>(bytes));
        for (auto& row : rows)
          for (auto& b : row) b = extreme ? 255 : std::uint8_t(random() >> 9);
        std::vector<const std::uint8_t*> taps;
        std::vector<std::int64_t> weights;
        std::vector<std::int16_t> packed(std::size_t{4} * pairs);
        for (int t = 0; t < 2 * pairs; ++t) {
          taps.push_back(rows[t % rows.size()].data());
          // The average rounds up: the sum passes 2^22 and the result must be clipped.
          weights.push_back((4194304 + 2 * pairs - 1) / (2 * pairs) + 20000 / pairs * (t % 2 == 0 ? 1 : -1));
          if (pairs == 3)
            weights[t] = t % 2 == 0 ? -1000003 : 2398102 + t;  // as a bicubic filter's: some are negative
          packed[t / 2 * 4 + t % 2] = std::int16_t(weights[t] >> 11);
          packed[t / 2 * 4 + 2 + t % 2] = std::int16_t(weights[t] & 2047);
        }
        std::vector<std::uint8_t> out(bytes + 64, kGuard);
        kernels.vertical({.rows = taps.data(),
                          .weights = packed.data(),
                          .pairs = pairs,
                          .out = out.data(),
                          .bytes = bytes});
        int wrong = 0;
        for (int x = 0; x < bytes; ++x) {
          std::int64_t sum = 0;
          for (int t = 0; t < 2 * pairs; ++t) sum += weights[t] * taps[t][x];
          wrong += out[x] != from_fixed(sum);
        }
        INFO(isa_name(isa) << ": " << pairs << " pairs, " << bytes << " bytes");
        CHECK(wrong == 0);
        CHECK(std::count(out.end() - 64, out.end(), kGuard) == 64);
      }
    }
  }
}

namespace {

template <typename F>
std::string invalid_argument(const F& f) {
  try {
    f();
  } catch (const mnv2::Error& e) {
    return e.code() == mnv2::ErrorCode::invalid_argument ? e.what() : "another code";
  }
  return "no error";
}

}  // namespace

TEST_CASE("arguments outside their range are refused by name") {
  const float inf = std::numeric_limits<float>::infinity();
  const auto make = [](const Preprocessing& p) {
    return invalid_argument([&] { const Preprocessor preprocess(p); });
  };
  CHECK(make({}) == "no error");
  CHECK(make({.resize = 0}) == "preprocessing: resize is 0, expected 1 to 16384");
  CHECK(make({.resize = 16385}) == "preprocessing: resize is 16385, expected 1 to 16384");
  CHECK(make({.crop = -1}) == "preprocessing: crop is -1, expected 1 to 16384");
  CHECK(make({.crop = 16385}).find("crop is 16385") != std::string::npos);
  CHECK(make({.std = {1, 0, 1}}).find("std of channel 1") != std::string::npos);
  CHECK(make({.std = {1, 1, -1}}).find("std of channel 2") != std::string::npos);
  CHECK(make({.std = {inf, 1, 1}}).find("std of channel 0") != std::string::npos);
  CHECK(make({.std = {std::nanf(""), 1, 1}}).find("std of channel 0") != std::string::npos);
  CHECK(make({.mean = {0, inf, 0}}).find("mean of channel 1") != std::string::npos);

  const Preprocessor preprocess({.resize = 8, .crop = 8});
  Preprocessor::Scratch scratch;
  const Image image = make_image(10, 10, Fill::noise, 1);
  std::vector<std::uint8_t> out(3 * 8 * 8);
  const auto crop = [&](ImageView view) {
    return invalid_argument([&] { preprocess.crop(view, scratch, out.data()); });
  };
  CHECK(crop(image.view()) == "no error");
  ImageView view = image.view();
  view.data = nullptr;
  CHECK(crop(view) == "image: empty, 10 x 10");
  view = image.view();
  view.width = 0;
  CHECK(crop(view) == "image: empty, 0 x 10");
  view = image.view();
  view.height = -1;
  CHECK(crop(view) == "image: empty, 10 x -1");
  view = image.view();
  view.row_bytes = 29;
  CHECK(crop(view) == "image: rows of 29 bytes, expected at least 30");
  view.height = 1;
  CHECK(crop(view) == "image: rows of 29 bytes, expected at least 30");
  view.row_bytes = 30;
  CHECK(crop(view) == "no error");

  std::vector<float> input(3 * 8 * 8);
  PlanarView planes{.data = input.data(), .width = 8, .height = 8, .row_stride = 8, .plane_stride = 64};
  const auto run = [&](PlanarView to) {
    return invalid_argument([&] { preprocess(image.view(), scratch, to); });
  };
  CHECK(run(planes) == "no error");
  planes.width = 9;
  CHECK(run(planes) == "network input: 9 x 8, expected 8 x 8");
  planes.width = 8;
  planes.data = nullptr;
  CHECK(run(planes).find("network input: 8 x 8") != std::string::npos);
}
