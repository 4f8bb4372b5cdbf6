// Pointwise and fully connected kernels against plain loops over channels in double precision.
#include <sstream>

#include "kernels/kernels.h"
#include "kernels/packing.h"
#include "support/kernel_fixture.h"

using namespace mnv2;
using namespace mnv2::kernels;
using namespace mnv2::test;

namespace {

struct PointwiseCase {
  int in_c = 1, out_c = 1, pixels = 1;
  bool residual = false, accumulate = false, padded_output = false;
  float clamp_min = -std::numeric_limits<float>::infinity();
  float clamp_max = std::numeric_limits<float>::infinity();
  Values values = Values::ordinary;
  bool halves = false;  // the last panel by pointwise_halves, when the outputs end in a half vector
  bool pairs = false;   // panels of two vectors by pointwise_pairs, where the instruction set has it
};

std::ostream& operator<<(std::ostream& out, const PointwiseCase& c) {
  return out << "in_c " << c.in_c << " out_c " << c.out_c << " pixels " << c.pixels << " residual "
             << c.residual << " accumulate " << c.accumulate << " padded_output " << c.padded_output
             << " clamp " << c.clamp_min << ".." << c.clamp_max << " extreme "
             << (c.values == Values::extreme) << " halves " << c.halves << " pairs " << c.pairs;
}

/// Pixel p of a padded output stands one column in, in rows of three pixels and two padding columns.
std::int32_t padded_offset(int p, int lanes) { return (p / 3 * 5 + p % 3 + 1) * lanes; }

/// What pointwise_pairs adds and takes away again on its way to `sum`: the products of two inputs and of two weights.
template <typename Input, typename Weight>
void pass_pairs(ReferenceSum& sum, int in_c, int lanes, const Input& input, const Weight& weight) {
  for (int first = 0; first < channels_in_pairs(in_c); first += lanes) {
    const int pairs = pairs_in_block(std::min(lanes, channels_in_pairs(in_c) - first));
    for (int c = first; c < first + 2 * pairs; c += 2) {
      sum.pass((std::abs(input(c)) + std::abs(weight(c + 1))) *
               (std::abs(input(c + 1)) + std::abs(weight(c))));
      sum.pass(input(c) * input(c + 1));
      sum.pass(weight(c) * weight(c + 1));
    }
  }
}

/// Runs the kernel panel by panel on random data; returns a description of the first wrong output, or nothing.
std::string run_pointwise(const KernelTable& table, const PointwiseCase& c, std::uint32_t seed) {
  const int lanes = table.lanes;
  RandomFloats random(seed);
  const int in_vectors = divide_up(c.in_c, lanes), out_vectors = divide_up(c.out_c, lanes);
  const std::ptrdiff_t in_block = std::ptrdiff_t{c.pixels} * lanes + 3;  // blocks need not touch
  const auto input = random.vector(in_vectors * in_block, c.values);
  const auto weight = random.vector(std::size_t(c.out_c) * c.in_c, c.values);
  const auto bias = random.vector(c.out_c, c.values);
  std::vector<std::int32_t> offsets(c.pixels);
  for (int p = 0; p < c.pixels; ++p) offsets[p] = c.padded_output ? padded_offset(p, lanes) : p * lanes;
  const std::ptrdiff_t out_block = offsets.back() + lanes + 5;
  const auto residual = random.vector(out_vectors * out_block, c.values);
  const bool pairs = c.pairs && table.pointwise_pairs != nullptr;
  GuardedOutput pair_products(c.pixels);
  if (pairs) {
    table.pair_products({.input = input.data(),
                         .input_block_stride = in_block,
                         .output = pair_products.data(),
                         .in_c = c.in_c,
                         .pixels = c.pixels});
    if (!pair_products.guards_intact()) return "guards of the pair products overwritten";
  }
  const auto before = random.vector(out_vectors * out_block, c.values);
  GuardedOutput output(out_vectors * out_block);

  std::vector<bool> went_in_pairs(out_vectors);
  for (int v = 0; v < out_vectors; v += kMaxPanelVectors) {
    const int vectors = std::min(kMaxPanelVectors, out_vectors - v);
    const int halves = divide_up(c.out_c - v * lanes, lanes / 2);
    const bool in_halves = c.halves && (halves == 1 || halves == 3);
    // To the last float, so that a read behind the panel is out of bounds.
    std::vector<float> panel(in_halves ? std::size_t(divide_up(c.in_c, 2)) * halves * lanes
                                       : std::size_t(vectors) * lanes * c.in_c);
    std::vector<float> packed_bias(std::size_t(vectors) * lanes);
    PanelRange range{.first_out = v * lanes, .outs = vectors * lanes, .first_in = 0, .ins = c.in_c};
    if (in_halves) {
      range.outs = halves * lanes / 2;
      pack_halves(weight, c.out_c, c.in_c, range, lanes, panel.data());
    } else {
      pack_panel(weight, c.out_c, c.in_c, range, panel.data());
    }
    pack_bias(bias, v * lanes, vectors * lanes, packed_bias.data());
    const bool in_pairs = pairs && !in_halves && vectors == kMaxPanelVectors;
    std::vector<float> negative_products(std::size_t(vectors) * lanes);
    for (int n = 0; n < vectors; ++n) went_in_pairs[v + n] = in_pairs;
    if (in_pairs)
      subtract_pair_products(panel.data(), c.in_c, vectors * lanes, lanes,
                             c.accumulate ? negative_products.data() : packed_bias.data());
    PointwiseArgs args{
        .input = input.data(),
        .input_block_stride = in_block,
        .weights = panel.data(),
        .bias = packed_bias.data(),
        .output = {output.data() + v * out_block, out_block, c.padded_output ? offsets.data() : nullptr},
        .in_c = c.in_c,
        .pixels = c.pixels,
        .vectors = vectors,
        .accumulate = c.accumulate,
        .clamp_min = c.clamp_min,
        .clamp_max = c.clamp_max,
        .pair_products = pair_products.data()};
    if (c.residual)
      args.residual = {const_cast<float*>(residual.data()) + v * out_block, out_block,
                       c.padded_output ? offsets.data() : nullptr};
    if (c.accumulate)
      for (int n = 0; n < vectors; ++n)
        for (int p = 0; p < c.pixels; ++p)
          for (int l = 0; l < lanes; ++l)
            args.output.data[n * out_block + offsets[p] + l] =
                before[(v + n) * out_block + offsets[p] + l] + negative_products[n * lanes + l];
    (in_halves ? table.pointwise_halves : in_pairs ? table.pointwise_pairs : table.pointwise)(args);
  }

  std::ostringstream wrong;
  if (!output.guards_intact()) return "guards overwritten";
  std::vector<bool> written(output.size(), false);
  for (int o = 0; o < out_vectors * lanes; ++o) {
    for (int p = 0; p < c.pixels; ++p) {
      const std::size_t at = o / lanes * out_block + offsets[p] + o % lanes;
      written[at] = true;
      ReferenceSum sum;
      if (c.accumulate)
        sum.add(before[at]);
      else if (o < c.out_c)
        sum.add(bias[o]);
      const auto input_at = [&](int i) {
        return double(input[i / lanes * in_block + p * lanes + i % lanes]);
      };
      const auto weight_at = [&](int i) {
        return o < c.out_c ? double(weight[std::size_t(o) * c.in_c + i]) : 0.0;
      };
      for (int i = 0; i < c.in_c && o < c.out_c; ++i) sum.add(input_at(i) * weight_at(i));
      if (went_in_pairs[o / lanes]) pass_pairs(sum, c.in_c, lanes, input_at, weight_at);
      if (!sum.matches(output.data()[at], c.clamp_min, c.clamp_max, c.residual ? residual[at] : 0.0f)) {
        wrong << "channel " << o << " pixel " << p << ": found " << output.data()[at] << ", expected "
              << sum.sum;
        return wrong.str();
      }
    }
  }
  for (std::size_t i = 0; i < output.size(); ++i)
    if (!written[i] && !std::isnan(output.data()[i])) return "wrote between the pixels";
  return {};
}

}  // namespace

TEST_CASE("pointwise: every input and output channel count up to two vectors and a bit") {
  for_each_isa([](const KernelTable& table) {
    for (int in_c = 1; in_c <= 2 * table.lanes + 1; ++in_c) {
      for (int out_c = 1; out_c <= 2 * table.lanes + 1; ++out_c) {
        for (const auto& [halves, pairs] : {std::pair{false, false}, {true, false}, {false, true}}) {
          const PointwiseCase c{.in_c = in_c,
                                .out_c = out_c,
                                .pixels = 1 + (in_c * 7 + out_c) % 31,
                                .residual = in_c % 2 == 0,
                                .accumulate = out_c % 3 == 0,
                                .padded_output = (in_c + out_c) % 2 == 0,
                                .halves = halves,
                                .pairs = pairs};
          INFO(c);
          REQUIRE(run_pointwise(table, c, in_c * 100 + out_c) == "");
        }
      }
    }
  });
}

TEST_CASE("pointwise: every pixel count up to three tiles") {
  for_each_isa([](const KernelTable& table) {
    for (int pixels = 1; pixels <= 90; ++pixels) {
      for (const int out_c : {table.lanes / 2, table.lanes, table.lanes * 3 / 2, 2 * table.lanes}) {
        for (const bool accumulate : {false, true}) {
          const PointwiseCase c{.in_c = 19,
                                .out_c = out_c,
                                .pixels = pixels,
                                .residual = !accumulate,
                                .accumulate = accumulate,
                                .padded_output = pixels % 2 == 0,
                                .clamp_min = 0,
                                .clamp_max = 6,
                                .halves = true,
                                .pairs = true};
          INFO(c);
          REQUIRE(run_pointwise(table, c, pixels) == "");
        }
      }
    }
  });
}

TEST_CASE("pointwise: extreme values and every clamp") {
  const float inf = std::numeric_limits<float>::infinity();
  for_each_isa([&](const KernelTable& table) {
    for (const auto& [low, high] :
         {std::pair{0.0f, 6.0f}, {0.0f, inf}, {-inf, inf}, {-inf, 3.0f}, {-1.0f, 1.0f}}) {
      for (std::uint32_t seed = 0; seed < 20; ++seed) {
        const PointwiseCase c{.in_c = 33,
                              .out_c = 20,
                              .pixels = 29,
                              .residual = seed % 2 == 0,
                              .clamp_min = low,
                              .clamp_max = high,
                              .values = seed < 10 ? Values::extreme : Values::ordinary,
                              .halves = seed % 3 == 0,
                              .pairs = seed >= 10};
        INFO(c);
        REQUIRE(run_pointwise(table, c, seed) == "");
      }
    }
  });
}

TEST_CASE("pointwise: the shapes of MobileNetV2") {
  struct Shape {
    int in_c, out_c, size;
  };
  for_each_isa([](const KernelTable& table) {
    for (const Shape s : {Shape{32, 16, 112},
                          {16, 96, 112},
                          {96, 24, 56},
                          {24, 144, 56},
                          {144, 32, 28},
                          {32, 192, 28},
                          {192, 64, 14},
                          {64, 384, 14},
                          {384, 96, 14},
                          {96, 576, 14},
                          {576, 160, 7},
                          {160, 960, 7},
                          {960, 320, 7},
                          {320, 1280, 7}}) {
      // A few rows stand for a large map: rows are independent.
      for (const bool pairs : {false, true}) {
        const PointwiseCase c{.in_c = s.in_c,
                              .out_c = s.out_c,
                              .pixels = s.size * std::min(s.size, 2),
                              .halves = true,
                              .pairs = pairs};
        INFO(c);
        REQUIRE(run_pointwise(table, c, s.in_c + s.size) == "");
      }
    }
  });
}

TEST_CASE("pointwise: a sum cut at any channel block and any pixel keeps every bit") {
  for_each_isa([](const KernelTable& table) {
    const int lanes = table.lanes, in_c = 5 * lanes + 3, pixels = 41;
    RandomFloats random(5);
    const auto input = random.vector(6 * pixels * lanes);
    const auto weights = random.vector(std::size_t(in_c) * 2 * lanes);
    const auto bias = random.vector(2 * lanes);
    const std::ptrdiff_t block = std::ptrdiff_t{pixels} * lanes;
    const auto run = [&](int cut_block, int cut_pixel) {
      std::vector<float> output(2 * block);
      for (const auto& [first, count] : {std::pair{0, cut_pixel}, {cut_pixel, pixels - cut_pixel}}) {
        if (count == 0) continue;
        PointwiseArgs args{.input = input.data() + first * lanes,
                           .input_block_stride = block,
                           .weights = weights.data(),
                           .bias = bias.data(),
                           .output = {output.data() + first * lanes, block, nullptr},
                           .in_c = cut_block * lanes,
                           .pixels = count,
                           .vectors = 2,
                           .clamp_min = -std::numeric_limits<float>::infinity(),
                           .clamp_max = std::numeric_limits<float>::infinity()};
        if (cut_block > 0) {
          table.pointwise(args);
          args.accumulate = true;
        }
        args.input += cut_block * block;
        args.weights += std::ptrdiff_t{cut_block} * lanes * 2 * lanes;
        args.in_c = in_c - cut_block * lanes;
        table.pointwise(args);
      }
      return output;
    };
    const auto whole = run(0, 0);
    for (int cut_block = 0; cut_block <= 5; ++cut_block)
      for (int cut_pixel = 0; cut_pixel < pixels; ++cut_pixel) REQUIRE(run(cut_block, cut_pixel) == whole);
  });
}

namespace {

/// Cuts the pixels of a panel of two vectors in two calls of `kernel`, anywhere. weights: of one of the layouts.
void check_pixel_cuts(const KernelTable& table, void (*kernel)(const PointwiseArgs&) noexcept, int in_c,
                      std::size_t weights_size) {
  const int lanes = table.lanes, pixels = 41;
  RandomFloats random(6);
  const auto input = random.vector(std::size_t(divide_up(in_c, lanes)) * pixels * lanes);
  const auto weights = random.vector(weights_size), bias = random.vector(2 * lanes);
  const std::ptrdiff_t block = std::ptrdiff_t{pixels} * lanes;
  const auto run = [&](int cut) {
    std::vector<float> output(2 * block), products(pixels);
    for (const auto& [first, count] : {std::pair{0, cut}, {cut, pixels - cut}}) {
      if (count == 0) continue;
      if (table.pair_products != nullptr)
        table.pair_products({.input = input.data() + first * lanes,
                             .input_block_stride = block,
                             .output = products.data(),
                             .in_c = in_c,
                             .pixels = count});
      kernel({.input = input.data() + first * lanes,
              .input_block_stride = block,
              .weights = weights.data(),
              .bias = bias.data(),
              .output = {output.data() + first * lanes, block, nullptr},
              .in_c = in_c,
              .pixels = count,
              .vectors = 2,
              .clamp_min = -1,
              .clamp_max = 6,
              .pair_products = products.data()});
    }
    return output;
  };
  const auto whole = run(0);
  for (int cut = 1; cut < pixels; ++cut) REQUIRE(run(cut) == whole);
}

}  // namespace

TEST_CASE("pointwise_halves: pixels cut anywhere keep every bit") {
  for_each_isa([](const KernelTable& table) {
    const int in_c = 2 * table.lanes + 3;
    check_pixel_cuts(table, table.pointwise_halves, in_c, std::size_t(in_c + 1) / 2 * 3 * table.lanes);
  });
}

TEST_CASE("pointwise_pairs: pixels cut anywhere keep every bit") {
  for_each_isa([](const KernelTable& table) {
    const int in_c = 2 * table.lanes + 11;
    if (table.pointwise_pairs != nullptr)
      check_pixel_cuts(table, table.pointwise_pairs, in_c, std::size_t(in_c) * 2 * table.lanes);
  });
}

TEST_CASE("pair_products: the pairs of every channel count, at every pixel count") {
  for_each_isa([](const KernelTable& table) {
    if (table.pair_products == nullptr) return;
    const int lanes = table.lanes;
    for (int in_c = 1; in_c <= 3 * lanes + 1; ++in_c) {
      const int pixels = 1 + in_c * 5 % 39;
      RandomFloats random(in_c);
      const std::ptrdiff_t block = std::ptrdiff_t{pixels} * lanes + 3;
      const auto input = random.vector(divide_up(in_c, lanes) * block);
      GuardedOutput output(pixels);
      table.pair_products({.input = input.data(),
                           .input_block_stride = block,
                           .output = output.data(),
                           .in_c = in_c,
                           .pixels = pixels});
      REQUIRE(output.guards_intact());
      for (int p = 0; p < pixels; ++p) {
        ReferenceSum sum;
        // The last one to four channels are no part of it; in each block a third of the others makes pairs.
        for (int first = 0; first < (in_c - 1) / 4 * 4; first += lanes) {
          const int pairs = std::min(lanes, (in_c - 1) / 4 * 4 - first) / 3;
          const float* x = input.data() + first / lanes * block + p * lanes;
          for (int i = 0; i < pairs; ++i) sum.add(double(x[2 * i]) * x[2 * i + 1]);
        }
        INFO("in_c " << in_c << " pixel " << p << " of " << pixels);
        REQUIRE(sum.matches(output.data()[p], -INFINITY, INFINITY));
      }
    }
  });
}

TEST_CASE("add_partial: clamped sums, then the residual, wherever the pixels stand") {
  for_each_isa([](const KernelTable& table) {
    const int lanes = table.lanes;
    for (int pixels = 1; pixels <= 20; ++pixels) {
      for (int kind = 0; kind < 8; ++kind) {
        const bool padded_output = kind & 1, padded_residual = kind & 2, with_residual = kind & 4;
        const int vectors = 1 + pixels % 3;
        RandomFloats random(pixels * 8 + kind);
        std::vector<std::int32_t> offsets(pixels), contiguous(pixels);
        for (int p = 0; p < pixels; ++p) {
          offsets[p] = padded_offset(p, lanes);
          contiguous[p] = p * lanes;
        }
        const std::ptrdiff_t block = offsets.back() + lanes + 5,
                             partial_block = std::ptrdiff_t{pixels} * lanes + 3;
        const auto before = random.vector(vectors * block), partial = random.vector(vectors * partial_block);
        auto residual = random.vector(vectors * block);
        const auto& out_at = padded_output ? offsets : contiguous;
        const auto& residual_at = padded_residual ? offsets : contiguous;
        GuardedOutput output(vectors * block);
        for (int v = 0; v < vectors; ++v)
          for (int p = 0; p < pixels; ++p)
            std::copy_n(before.data() + v * block + out_at[p], lanes, output.data() + v * block + out_at[p]);
        AddArgs args{.output = {output.data(), block, padded_output ? offsets.data() : nullptr},
                     .partial = partial.data(),
                     .partial_block_stride = partial_block,
                     .pixels = pixels,
                     .vectors = vectors,
                     .clamp_min = -0.5f,
                     .clamp_max = 0.75f};
        if (with_residual)
          args.residual = {residual.data(), block, padded_residual ? offsets.data() : nullptr};
        table.add_partial(args);
        REQUIRE(output.guards_intact());
        int wrong = 0, written = 0;
        for (int v = 0; v < vectors; ++v)
          for (int p = 0; p < pixels; ++p)
            for (int l = 0; l < lanes; ++l, ++written) {
              const std::size_t at = v * block + out_at[p] + l;
              float expected =
                  std::clamp(before[at] + partial[v * partial_block + p * lanes + l], -0.5f, 0.75f);
              if (with_residual) expected += residual[v * block + residual_at[p] + l];
              wrong += output.data()[at] != expected;
            }
        for (std::size_t i = 0; i < output.size(); ++i) written -= !std::isnan(output.data()[i]);
        INFO("pixels " << pixels << " kind " << kind);
        REQUIRE(wrong == 0);
        REQUIRE(written == 0);  // nothing between the pixels
      }
    }
  });
}

TEST_CASE("linear: every input count, added to what is there") {
  for_each_isa([](const KernelTable& table) {
    const int outs = kLinearVectors * table.lanes;
    for (int in_c = 1; in_c <= 3 * table.lanes; ++in_c) {
      RandomFloats random(in_c);
      const auto input = random.vector(in_c), weights = random.vector(std::size_t(in_c) * outs);
      const auto before = random.vector(outs);
      GuardedOutput output(outs);
      std::copy(before.begin(), before.end(), output.data());
      table.linear({.input = input.data(), .weights = weights.data(), .output = output.data(), .in_c = in_c});
      REQUIRE(output.guards_intact());
      for (int n = 0; n < outs; ++n) {
        ReferenceSum sum;
        sum.add(before[n]);
        for (int c = 0; c < in_c; ++c) sum.add(double(input[c]) * weights[std::size_t(c) * outs + n]);
        INFO("in_c " << in_c << " output " << n);
        REQUIRE(sum.matches(output.data()[n], -INFINITY, INFINITY));
      }
    }
  });
}
