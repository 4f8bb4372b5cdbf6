// Depthwise, stem and pooling kernels against plain loops in double precision.
#include <sstream>

#include "kernels/contracts.h"
#include "kernels/packing.h"
#include "support/kernel_fixture.h"

using namespace mnv2;
using namespace mnv2::kernels;
using namespace mnv2::test;

namespace {

struct DepthwiseCase {
  int h = 1, w = 1, stride = 1;
  float clamp_min = 0, clamp_max = 6;
  Values values = Values::ordinary;
};

/// One channel block of an h x w map with one channel short of a full vector, one to four rows at a time.
std::string run_depthwise(const KernelTable& table, const DepthwiseCase& c, std::uint32_t seed) {
  const int lanes = table.lanes(), channels = lanes - 1;
  RandomFloats random(seed);
  const std::size_t row = std::size_t(c.w + 2) * lanes;
  auto input = random.vector(c.h * row, c.values);
  for (int y = 0; y < c.h; ++y) {
    std::fill_n(input.begin() + y * row, lanes, 0.0f);
    std::fill_n(input.begin() + (y + 1) * row - lanes, lanes, 0.0f);
  }
  const std::vector<float> zero_row(row, 0.0f);
  const auto weight = random.vector(channels * 9, c.values), bias = random.vector(channels, c.values);
  std::vector<float> packed(10 * lanes);
  pack_depthwise({.weight = weight.data(), .bias = bias.data(), .channels = channels}, lanes, packed.data());

  const int out_h = (c.h - 1) / c.stride + 1, out_w = (c.w - 1) / c.stride + 1;
  const std::ptrdiff_t out_row = std::ptrdiff_t{out_w} * lanes + 7;
  GuardedOutput output(out_h * out_row);
  for (int y = 0; y < out_h;) {
    DepthwiseArgs args{.weights = packed.data(),
                       .output = as_bytes(output.data() + y * out_row),
                       .output_row_stride = out_row * kFloat,
                       .out_rows = std::min(1 + static_cast<int>((seed + y) % kMaxDepthwiseRows), out_h - y),
                       .out_w = out_w,
                       .stride = c.stride,
                       .clamp_min = c.clamp_min,
                       .clamp_max = c.clamp_max};
    for (int i = 0; i < (args.out_rows - 1) * c.stride + 3; ++i) {
      const int in_y = y * c.stride - 1 + i;
      args.rows[i] = as_bytes(in_y < 0 || in_y >= c.h ? zero_row.data() : input.data() + in_y * row);
    }
    table.depthwise(args);
    y += args.out_rows;
  }

  if (!output.guards_intact()) return "guards overwritten";
  std::ostringstream wrong;
  for (int y = 0; y < out_h; ++y) {
    for (int x = 0; x < out_w; ++x) {
      for (int l = 0; l < channels; ++l) {
        ReferenceSum sum;
        sum.add(bias[l]);
        for (int ky = 0; ky < 3; ++ky) {
          for (int kx = 0; kx < 3; ++kx) {
            const int in_y = y * c.stride + ky - 1, in_x = x * c.stride + kx - 1;
            if (in_y < 0 || in_y >= c.h || in_x < 0 || in_x >= c.w) continue;
            sum.add(double(input[in_y * row + (in_x + 1) * lanes + l]) * weight[l * 9 + ky * 3 + kx]);
          }
        }
        const float found = output.data()[y * out_row + x * lanes + l];
        if (!sum.matches(found, c.clamp_min, c.clamp_max)) {
          wrong << "y " << y << " x " << x << " lane " << l << ": found " << found << ", expected "
                << sum.sum;
          return wrong.str();
        }
      }
    }
    for (int i = out_w * lanes; i < out_row; ++i)
      if (!std::isnan(output.data()[y * out_row + i])) return "wrote after a row";
  }
  return {};
}

}  // namespace

TEST_CASE("depthwise: every width up to four tiles, odd and even, both strides, one and two rows at a time") {
  for_each_isa([](const KernelTable& table) {
    for (int w = 1; w <= 60; ++w) {
      for (const int stride : {1, 2}) {
        for (std::uint32_t rows = 0; rows < 2; ++rows) {
          INFO("w " << w << " stride " << stride << " rows " << rows + 1);
          REQUIRE(run_depthwise(table, {.h = 1 + w % 6, .w = w, .stride = stride}, 2 * w + rows) == "");
        }
      }
    }
  });
}

TEST_CASE("depthwise: the maps of MobileNetV2, extreme values, every clamp") {
  const float inf = std::numeric_limits<float>::infinity();
  for_each_isa([&](const KernelTable& table) {
    std::uint32_t seed = 1000;
    for (const int size : {112, 56, 28, 14, 7, 4, 2, 1})
      for (const int stride : {1, 2})
        for (const auto& [low, high] : {std::pair{0.0f, 6.0f}, {0.0f, inf}, {-inf, inf}})
          for (const Values values : {Values::ordinary, Values::extreme}) {
            INFO("size " << size << " stride " << stride << " clamp " << low << ".." << high);
            REQUIRE(run_depthwise(table, {size, size, stride, low, high, values}, seed++) == "");
          }
  });
}

TEST_CASE("stem: every width and output channel count, both strides") {
  for_each_isa([](const KernelTable& table) {
    const int lanes = table.lanes();
    for (int w = 1; w <= 65; ++w) {
      const int stride = 1 + w % 2, out_c = 1 + (w * 5) % (2 * lanes);
      const int h = 5, row = w + 2, plane = row * (h + 2), out_h = (h - 1) / stride + 1,
                out_w = (w - 1) / stride + 1;
      RandomFloats random(w);
      auto input = random.vector(3 * plane);
      for (int c = 0; c < 3; ++c)
        for (int y = 0; y < h + 2; ++y)
          for (int x = 0; x < row; ++x)
            if (y == 0 || y == h + 1 || x == 0 || x == w + 1) input[c * plane + y * row + x] = 0.0f;
      std::vector<std::int32_t> taps;
      for (int c = 0; c < 3; ++c)
        for (int ky = 0; ky < 3; ++ky)
          for (int kx = 0; kx < 3; ++kx) taps.push_back(c * plane + ky * row + kx);
      const auto weight = random.vector(out_c * 27), bias = random.vector(out_c);
      const int vectors = divide_up(out_c, lanes);
      std::vector<float> panel(27 * vectors * lanes), packed_bias(vectors * lanes);
      pack_panel({.weight = weight.data(),
                  .layer_bias = bias.data(),
                  .out_c = out_c,
                  .row = 27,
                  .halves = 2 * vectors,
                  .in_c = 27,
                  .weights = as_bytes(panel.data()),
                  .bias = packed_bias.data()},
                 lanes);
      const std::ptrdiff_t out_block = std::ptrdiff_t{out_h} * out_w * lanes;
      GuardedOutput output(vectors * out_block);
      for (int y = 0; y < out_h; ++y)
        table.stem({.input = input.data() + y * stride * row,
                    .tap_offsets = taps.data(),
                    .weights = panel.data(),
                    .bias = packed_bias.data(),
                    .output = as_bytes(output.data() + std::ptrdiff_t{y} * out_w * lanes),
                    .output_block_stride = out_block * kFloat,
                    .taps = 27,
                    .out_w = out_w,
                    .stride = stride,
                    .vectors = vectors,
                    .clamp_min = 0,
                    .clamp_max = 6});
      REQUIRE(output.guards_intact());
      for (int o = 0; o < vectors * lanes; ++o)
        for (int y = 0; y < out_h; ++y)
          for (int x = 0; x < out_w; ++x) {
            ReferenceSum sum;
            if (o < out_c) {
              sum.add(bias[o]);
              for (int c = 0; c < 3; ++c)
                for (int ky = 0; ky < 3; ++ky)
                  for (int kx = 0; kx < 3; ++kx)
                    sum.add(double(input[c * plane + (y * stride + ky) * row + x * stride + kx]) *
                            weight[o * 27 + c * 9 + ky * 3 + kx]);
            }
            INFO("w " << w << " stride " << stride << " out_c " << out_c << " channel " << o << " y " << y
                      << " x " << x);
            REQUIRE(sum.matches(
                output.data()[o / lanes * out_block + (std::ptrdiff_t{y} * out_w + x) * lanes + o % lanes], 0,
                6));
          }
    }
  });
}

TEST_CASE("sum_pixels: every pixel count up to 64") {
  for_each_isa([](const KernelTable& table) {
    for (int pixels = 1; pixels <= 64; ++pixels) {
      RandomFloats random(pixels);
      const auto input = random.vector(std::size_t(pixels) * table.lanes());
      GuardedOutput output(table.lanes());
      table.sum_pixels(as_bytes(input.data()), pixels, output.data());
      REQUIRE(output.guards_intact());
      for (int l = 0; l < table.lanes(); ++l) {
        ReferenceSum sum;
        for (int p = 0; p < pixels; ++p) sum.add(input[p * table.lanes() + l]);
        REQUIRE(sum.matches(output.data()[l], -INFINITY, INFINITY));
      }
    }
  });
}
