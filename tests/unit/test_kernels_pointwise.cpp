// Pointwise and fully connected kernels against plain loops over channels in double precision.
#include <sstream>
#include <stdexcept>

#include "kernels/contracts.h"
#include "kernels/packing.h"
#include "kernels/panels.h"
#include "support/kernel_fixture.h"

using namespace mnv2;
using namespace mnv2::kernels;
using namespace mnv2::test;

namespace {

struct PointwiseCase {
  int in_c = 1, out_c = 1, pixels = 1;
  bool residual = false, padded_output = false;
  Start start = Start::bias;  // any other: raw sums
  float clamp_min = -std::numeric_limits<float>::infinity();
  float clamp_max = std::numeric_limits<float>::infinity();
  Values values = Values::ordinary;
};

std::ostream& operator<<(std::ostream& out, const PointwiseCase& c) {
  return out << "in_c " << c.in_c << " out_c " << c.out_c << " pixels " << c.pixels << " residual "
             << c.residual << " padded_output " << c.padded_output << " start " << static_cast<int>(c.start)
             << " clamp " << c.clamp_min << ".." << c.clamp_max << " extreme "
             << (c.values == Values::extreme);
}

/// Pixel p of a padded output stands one column in, in rows of three pixels and two padding columns. In floats.
std::int32_t padded_offset(int p, int lanes) { return (p / 3 * 5 + p % 3 + 1) * lanes; }

std::vector<std::int32_t> in_bytes(std::vector<std::int32_t> offsets) {
  for (std::int32_t& offset : offsets) offset *= int{sizeof(float)};
  return offsets;
}

const PanelFormat& format_named(const KernelTable& table, std::string_view name) {
  for (const PanelFormat& format : table.formats)
    if (format.name == name) return format;
  throw std::runtime_error("no format " + std::string(name));
}

/// Panels of all outputs in `format`, as far as it takes them; the others in whole vectors.
std::vector<PanelCut> panels_in(const PanelFormat& format, const KernelTable& table, int out_c) {
  const PanelFormat& whole = format_named(table, "f32");
  std::vector<PanelCut> panels;
  for (int first = 0; first < out_c; first += kMaxPanelVectors * table.lanes()) {
    const int halves = std::min(divide_up(out_c - first, table.lanes() / 2), 2 * kMaxPanelVectors);
    if (format.takes(halves))
      panels.push_back({first / table.lanes(), halves, &format});
    else if (format.takes(halves + halves % 2))
      panels.push_back({first / table.lanes(), halves + halves % 2, &format});
    else
      panels.push_back({first / table.lanes(), halves + halves % 2, &whole});
  }
  return panels;
}

/// What a format that cancels adds and takes away again on its way to `sum`: the products of two inputs and of two
/// weights.
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

/// A pointwise layer of random numbers, and what one format makes of it.
class PointwiseRun {
 public:
  PointwiseRun(const KernelTable& table, const PanelFormat& format, const PointwiseCase& c,
               std::uint32_t seed)
      : table_(table), c_(c), lanes_(table.lanes()), panels_(panels_in(format, table, c.out_c)) {
    RandomFloats random(seed);
    in_block_ = std::ptrdiff_t{c.pixels} * lanes_ + 3;  // blocks need not touch
    input_ = random.vector(divide_up(c.in_c, lanes_) * in_block_, c.values);
    weight_ = random.vector(std::size_t(c.out_c) * c.in_c, c.values);
    bias_ = random.vector(c.out_c, c.values);
    for (int p = 0; p < c.pixels; ++p)
      offsets_.push_back(c.padded_output ? padded_offset(p, lanes_) : p * lanes_);
    offset_bytes_ = in_bytes(offsets_);
    out_block_ = offsets_.back() + lanes_ + 5;
    residual_ = random.vector(divide_up(c.out_c, lanes_) * out_block_, c.values);
    before_ = random.vector(residual_.size(), c.values);
  }

  /// A description of the first wrong output, or nothing.
  std::string run() {
    GuardedOutput output(before_.size());
    for (const PanelCut& panel : panels_) {
      const std::string fault = multiply(panel, output);
      if (!fault.empty()) return fault;
    }
    return output.guards_intact() ? compare(output) : "guards overwritten";
  }

 private:
  std::string multiply(const PanelCut& panel, GuardedOutput& output) {
    const PanelFormat& format = *panel.format;
    const std::size_t outs = std::size_t(panel.vectors()) * lanes_;
    // To the last float, so that a read after the panel is out of bounds.
    std::vector<float> weights(format.weights_bytes(c_.in_c, panel.halves) / sizeof(float));
    std::vector<float> packed_bias(outs), first_bias(outs);
    format.pack({.weight = weight_.data(),
                 .layer_bias = bias_.data(),
                 .out_c = c_.out_c,
                 .row = c_.in_c,
                 .first_out = panel.first_vector * lanes_,
                 .halves = panel.halves,
                 .in_c = c_.in_c,
                 .weights = as_bytes(weights.data()),
                 .bias = packed_bias.data(),
                 .first_bias = c_.start == Start::bias ? packed_bias.data() : first_bias.data()});
    GuardedOutput prepared(format.prepared_bytes(c_.in_c, c_.pixels) / sizeof(float));
    format.prepare({.input = as_bytes(input_.data()),
                    .input_block_stride = in_block_ * kFloat,
                    .prepared = as_bytes(prepared.data()),
                    .run_pixels = c_.pixels,
                    .in_c = c_.in_c,
                    .pixels = c_.pixels});
    if (!prepared.guards_intact()) return "guards of what is prepared overwritten";
    const std::int32_t* const offsets = c_.padded_output ? offset_bytes_.data() : nullptr;
    const Epilogue epilogue{
        .clamp_min = c_.clamp_min,
        .clamp_max = c_.clamp_max,
        .residual = c_.residual ? ConstView{as_bytes(residual_.data() + panel.first_vector * out_block_),
                                            out_block_ * kFloat, offsets}
                                : ConstView{}};
    float* const to = output.data() + panel.first_vector * out_block_;
    if (c_.start == Start::previous)
      for (int n = 0; n < panel.vectors(); ++n)
        for (int p = 0; p < c_.pixels; ++p)
          for (int l = 0; l < lanes_; ++l)
            to[n * out_block_ + offsets_[p] + l] =
                before_[(panel.first_vector + n) * out_block_ + offsets_[p] + l] + first_bias[n * lanes_ + l];
    format.multiply({.input = as_bytes(input_.data()),
                     .input_block_stride = in_block_ * kFloat,
                     .weights = as_bytes(weights.data()),
                     .bias = packed_bias.data(),
                     .start = c_.start,
                     .output = {as_bytes(to), out_block_ * kFloat, offsets},
                     .epilogue = c_.start == Start::bias ? &epilogue : nullptr,
                     .in_c = c_.in_c,
                     .pixels = c_.pixels,
                     .vectors = panel.vectors(),
                     .prepared = {as_bytes(prepared.data()), c_.pixels}});
    if (c_.start == Start::zero)  // what this part leaves out is in the bias of another
      for (int n = 0; n < panel.vectors(); ++n)
        for (int p = 0; p < c_.pixels; ++p)
          for (int l = 0; l < lanes_; ++l) to[n * out_block_ + offsets_[p] + l] += first_bias[n * lanes_ + l];
    return {};
  }

  std::string compare(const GuardedOutput& output) const {
    std::vector<bool> written(output.size(), false);
    for (const PanelCut& panel : panels_) {
      for (int o = panel.first_vector * lanes_; o < (panel.first_vector + panel.vectors()) * lanes_; ++o) {
        for (int p = 0; p < c_.pixels; ++p) {
          const std::size_t at = o / lanes_ * out_block_ + offsets_[p] + o % lanes_;
          written[at] = true;
          const ReferenceSum sum = expected(o, p, at, panel.format->cancels);
          if (sum.matches(output.data()[at], c_.clamp_min, c_.clamp_max, c_.residual ? residual_[at] : 0.0f))
            continue;
          std::ostringstream wrong;
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

  ReferenceSum expected(int o, int p, std::size_t at, bool cancels) const {
    ReferenceSum sum;
    if (c_.start == Start::previous)
      sum.add(before_[at]);
    else if (c_.start == Start::bias && o < c_.out_c)
      sum.add(bias_[o]);
    const auto input_at = [&](int i) {
      return double(input_[i / lanes_ * in_block_ + p * lanes_ + i % lanes_]);
    };
    const auto weight_at = [&](int i) {
      return o < c_.out_c ? double(weight_[std::size_t(o) * c_.in_c + i]) : 0.0;
    };
    for (int i = 0; i < c_.in_c && o < c_.out_c; ++i) sum.add(input_at(i) * weight_at(i));
    if (cancels) pass_pairs(sum, c_.in_c, lanes_, input_at, weight_at);
    return sum;
  }

  const KernelTable& table_;
  PointwiseCase c_;
  int lanes_;
  std::vector<PanelCut> panels_;
  std::ptrdiff_t in_block_ = 0, out_block_ = 0;  // floats
  std::vector<float> input_, weight_, bias_, residual_, before_;
  std::vector<std::int32_t> offsets_, offset_bytes_;
};

/// Runs the case in every format of every instruction set.
template <typename MakeCase>
void check_formats(const MakeCase& make_case) {
  for_each_isa([&](const KernelTable& table) {
    for (const PanelFormat& format : table.formats) {
      if (format.precision != Precision::float32) continue;  // test_kernels_low.cpp
      const std::string name = format.name;
      make_case(table, [&](const PointwiseCase& c, std::uint32_t seed) {
        INFO(name << ": " << c);
        REQUIRE(PointwiseRun(table, format, c, seed).run() == "");
      });
    }
  });
}

constexpr Start kStarts[] = {Start::bias, Start::zero, Start::previous};

}  // namespace

TEST_CASE("pointwise: every input and output channel count up to two vectors and a bit") {
  check_formats([](const KernelTable& table, const auto& check) {
    for (int in_c = 1; in_c <= 2 * table.lanes() + 1; ++in_c)
      for (int out_c = 1; out_c <= 2 * table.lanes() + 1; ++out_c) {
        const Start start = kStarts[out_c % 3];
        check({.in_c = in_c,
               .out_c = out_c,
               .pixels = 1 + (in_c * 7 + out_c) % 31,
               .residual = in_c % 2 == 0 && start == Start::bias,
               .padded_output = (in_c + out_c) % 2 == 0,
               .start = start},
              in_c * 100 + out_c);
      }
  });
}

TEST_CASE("pointwise: every pixel count up to three tiles") {
  check_formats([](const KernelTable& table, const auto& check) {
    for (int pixels = 1; pixels <= 90; ++pixels)
      for (const int out_c : {table.lanes() / 2, table.lanes(), table.lanes() * 3 / 2, 2 * table.lanes()}) {
        check({.in_c = 19,
               .out_c = out_c,
               .pixels = pixels,
               .residual = true,
               .padded_output = pixels % 2 == 0,
               .clamp_min = 0,
               .clamp_max = 6},
              pixels);
        check({.in_c = 19, .out_c = out_c, .pixels = pixels, .start = Start::previous}, pixels);
      }
  });
}

TEST_CASE("pointwise: extreme values and every clamp") {
  const float inf = std::numeric_limits<float>::infinity();
  for_each_isa([&](const KernelTable& table) {
    for (const PanelFormat& format : table.formats) {
      if (format.precision != Precision::float32) continue;
      for (const auto& [low, high] :
           {std::pair{0.0f, 6.0f}, {0.0f, inf}, {-inf, inf}, {-inf, 3.0f}, {-1.0f, 1.0f}}) {
        for (std::uint32_t seed = 0; seed < 20; ++seed) {
          const bool extreme = seed < 10 && !format.cancels;
          const PointwiseCase c{.in_c = 33,
                                .out_c = 20,
                                .pixels = 29,
                                .residual = seed % 2 == 0,
                                .clamp_min = low,
                                .clamp_max = high,
                                .values = extreme ? Values::extreme : Values::ordinary};
          INFO(format.name << ": " << c);
          REQUIRE(PointwiseRun(table, format, c, seed).run() == "");
        }
      }
    }
  });
}

TEST_CASE("pointwise: the shapes of MobileNetV2") {
  struct Shape {
    int in_c, out_c, size;
  };
  check_formats([](const KernelTable&, const auto& check) {
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
                          {320, 1280, 7}})
      // A few rows stand for a large map: rows are independent.
      check({.in_c = s.in_c, .out_c = s.out_c, .pixels = s.size * std::min(s.size, 2)}, s.in_c + s.size);
  });
}

TEST_CASE("pointwise: a sum of f32 cut at any channel block and any pixel keeps every bit") {
  for_each_isa([](const KernelTable& table) {
    const PanelFormat& format = format_named(table, "f32");
    const int lanes = table.lanes(), in_c = 5 * lanes + 3, pixels = 41;
    RandomFloats random(5);
    const auto input = random.vector(6 * pixels * lanes);
    const auto weights = random.vector(std::size_t(in_c) * 2 * lanes);
    const auto bias = random.vector(2 * lanes);
    const std::ptrdiff_t block = std::ptrdiff_t{pixels} * lanes;
    const auto run = [&](int cut_block, int cut_pixel) {
      std::vector<float> output(2 * block);
      for (const auto& [first, count] : {std::pair{0, cut_pixel}, {cut_pixel, pixels - cut_pixel}}) {
        if (count == 0) continue;
        MatmulArgs args{.input = as_bytes(input.data() + first * lanes),
                        .input_block_stride = block * kFloat,
                        .weights = as_bytes(weights.data()),
                        .bias = bias.data(),
                        .output = {as_bytes(output.data() + first * lanes), block * kFloat, nullptr},
                        .in_c = cut_block * lanes,
                        .pixels = count,
                        .vectors = 2};
        if (cut_block > 0) {
          format.multiply(args);
          args.start = Start::previous;
        }
        args.input += cut_block * block * kFloat;
        args.weights += std::ptrdiff_t{cut_block} * lanes * 2 * lanes * kFloat;
        args.in_c = in_c - cut_block * lanes;
        format.multiply(args);
      }
      return output;
    };
    const auto whole = run(0, 0);
    for (int cut_block = 0; cut_block <= 5; ++cut_block)
      for (int cut_pixel = 0; cut_pixel < pixels; ++cut_pixel) REQUIRE(run(cut_block, cut_pixel) == whole);
  });
}

TEST_CASE("pointwise: pixels cut anywhere keep every bit, in every format") {
  for_each_isa([](const KernelTable& table) {
    for (const PanelFormat& format : table.formats) {
      if (!cpu_features().has(format.needs)) continue;
      const int lanes = table.lanes(), pixels = 41, in_c = 2 * lanes + 11;
      const int halves = format.takes(4) ? 4 : 3;
      RandomFloats random(6);
      const auto input = random.vector(std::size_t(divide_up(in_c, lanes)) * pixels * lanes);
      const int row = in_c, outs = halves * lanes / 2;
      const auto weight = random.vector(std::size_t(outs) * row), layer_bias = random.vector(outs);
      std::vector<float> weights(format.weights_bytes(in_c, halves) / sizeof(float)), bias(2 * lanes);
      format.pack({.weight = weight.data(),
                   .layer_bias = layer_bias.data(),
                   .out_c = outs,
                   .row = row,
                   .halves = halves,
                   .in_c = in_c,
                   .weights = as_bytes(weights.data()),
                   .bias = bias.data(),
                   .first_bias = bias.data()});
      const std::ptrdiff_t block = std::ptrdiff_t{pixels} * lanes;
      const Epilogue epilogue{.clamp_min = -1, .clamp_max = 6};
      const auto run = [&](int cut) {
        std::vector<float> output(2 * block), prepared(format.prepared_bytes(in_c, pixels) / sizeof(float));
        for (const auto& [first, count] : {std::pair{0, cut}, {cut, pixels - cut}}) {
          if (count == 0) continue;
          format.prepare({.input = as_bytes(input.data() + first * lanes),
                          .input_block_stride = block * kFloat,
                          .prepared = as_bytes(prepared.data()),
                          .run_pixels = count,
                          .in_c = in_c,
                          .pixels = count});
          format.multiply({.input = as_bytes(input.data() + first * lanes),
                           .input_block_stride = block * kFloat,
                           .weights = as_bytes(weights.data()),
                           .bias = bias.data(),
                           .output = {as_bytes(output.data() + first * lanes), block * kFloat, nullptr},
                           .epilogue = &epilogue,
                           .in_c = in_c,
                           .pixels = count,
                           .vectors = 2,
                           .prepared = {as_bytes(prepared.data()), count}});
        }
        return output;
      };
      const auto whole = run(0);
      INFO(format.name);
      for (int cut = 1; cut < pixels; ++cut) REQUIRE(run(cut) == whole);
    }
  });
}

TEST_CASE("f32-pairs prepares the products of the pairs of every channel count, at every pixel count") {
  for_each_isa([](const KernelTable& table) {
    for (const PanelFormat& format : table.formats) {
      if (std::string(format.name) != "f32-pairs") continue;
      const int lanes = table.lanes();
      for (int in_c = 1; in_c <= 3 * lanes + 1; ++in_c) {
        const int pixels = 1 + in_c * 5 % 39;
        RandomFloats random(in_c);
        const std::ptrdiff_t block = std::ptrdiff_t{pixels} * lanes + 3;
        const auto input = random.vector(divide_up(in_c, lanes) * block);
        GuardedOutput output(pixels);
        format.prepare({.input = as_bytes(input.data()),
                        .input_block_stride = block * kFloat,
                        .prepared = as_bytes(output.data()),
                        .run_pixels = pixels,
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
    }
  });
}

TEST_CASE("merge: clamped sums, then the residual, wherever the pixels stand") {
  for_each_isa([](const KernelTable& table) {
    const int lanes = table.lanes();
    for (int pixels = 1; pixels <= 20; ++pixels) {
      for (int kind = 0; kind < 8; ++kind) {
        const bool padded_output = kind & 1, padded_residual = kind & 2, with_residual = kind & 4;
        const int blocks = 1 + pixels % 3;
        RandomFloats random(pixels * 8 + kind);
        std::vector<std::int32_t> offsets(pixels), contiguous(pixels);
        for (int p = 0; p < pixels; ++p) {
          offsets[p] = padded_offset(p, lanes);
          contiguous[p] = p * lanes;
        }
        const auto offset_bytes = in_bytes(offsets);
        const std::ptrdiff_t block = offsets.back() + lanes + 5,
                             sums_block = std::ptrdiff_t{pixels} * lanes + 3;
        const auto first = random.vector(blocks * sums_block), second = random.vector(blocks * sums_block);
        const auto residual = random.vector(blocks * block);
        const auto& out_at = padded_output ? offsets : contiguous;
        const auto& residual_at = padded_residual ? offsets : contiguous;
        GuardedOutput output(blocks * block);
        MergeArgs args{.sums = {as_bytes(first.data()), as_bytes(second.data())},
                       .sums_block_stride = sums_block * kFloat,
                       .output = {as_bytes(output.data()), block * kFloat,
                                  padded_output ? offset_bytes.data() : nullptr},
                       .epilogue = {.clamp_min = -0.5f, .clamp_max = 0.75f},
                       .pixels = pixels,
                       .blocks = blocks};
        if (with_residual)
          args.epilogue.residual = {as_bytes(residual.data()), block * kFloat,
                                    padded_residual ? offset_bytes.data() : nullptr};
        table.merge(args);
        REQUIRE(output.guards_intact());
        int wrong = 0, written = 0;
        for (int v = 0; v < blocks; ++v)
          for (int p = 0; p < pixels; ++p)
            for (int l = 0; l < lanes; ++l, ++written) {
              const std::size_t at = v * sums_block + p * lanes + l;
              float expected = std::clamp(first[at] + second[at], -0.5f, 0.75f);
              if (with_residual) expected += residual[v * block + residual_at[p] + l];
              wrong += output.data()[v * block + out_at[p] + l] != expected;
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
    const int outs = kLinearVectors * table.lanes();
    for (int in_c = 1; in_c <= 3 * table.lanes(); ++in_c) {
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
