// Pointwise kernels in bfloat16 and int8. The reference is plain loops: of integers, which must be equal, and of the same
// float operations one by one; in bfloat16 of rounded factors in double precision.
#include <array>
#include <bit>
#include <cmath>
#include <sstream>

#include "kernels/contracts.h"
#include "kernels/panels.h"
#include "support/kernel_fixture.h"

using namespace mnv2;
using namespace mnv2::kernels;
using namespace mnv2::test;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

struct LowCase {
  int in_c = 1, out_c = 1, pixels = 1;
  int before = 0, after = 0;  // pixels of the run that are prepared and not multiplied
  bool is_signed = true, residual = false, padded_output = false, means = false, rounds = false;
  float clamp_min = -kInf, clamp_max = kInf;
};

std::ostream& operator<<(std::ostream& out, const LowCase& c) {
  return out << c.in_c << " -> " << c.out_c << ", pixels " << c.before << '+' << c.pixels << '+' << c.after
             << (c.is_signed ? " signed" : "") << (c.residual ? " residual" : "")
             << (c.padded_output ? " padded" : "") << (c.means ? " means" : "") << (c.rounds ? " rounds" : "")
             << " clamp " << c.clamp_min << ".." << c.clamp_max;
}

/// The bfloat16 that is nearest, of two the even one: by trying both neighbours.
float nearest_bf16(float x) {
  const std::uint32_t low = std::bit_cast<std::uint32_t>(x) & 0xffff0000u;
  const auto below = std::bit_cast<float>(low), above = std::bit_cast<float>(low + 0x10000);
  const double down = std::abs(double(x) - below), up = std::abs(double(above) - x);
  if (down != up) return down < up ? below : above;
  return (low & 0x10000) == 0 ? below : above;
}

/// A layer of random numbers, and what a format makes of it.
class LowRun {
 public:
  LowRun(const KernelTable& table, const PanelFormat& format, const LowCase& c, std::uint32_t seed)
      : format_(format), c_(c), lanes_(table.lanes()), run_(c.before + c.pixels + c.after) {
    RandomFloats random(seed);
    in_block_ = std::ptrdiff_t{run_} * lanes_ + 3;
    // What pads the last block is finite, and as large as anything.
    input_ = random.vector(divide_up(c.in_c, lanes_) * in_block_);
    for (float& x : input_) x *= 100;
    for (int p = 0; p < run_; ++p) {
      const float size =
          p % 7 == 3 ? 0.0f : std::pow(10.0f, static_cast<float>(p % 5 - 2));  // some pixels are dark
      for (int i = 0; i < c.in_c; ++i) {
        const float x = random() * size;
        input_[at_input(i, p)] = c.is_signed ? x : std::abs(x);
      }
    }
    weight_ = random.vector(std::size_t(c.out_c) * c.in_c);
    // A channel without weights, one with a weight far above the others.
    if (c.out_c > 2) std::fill_n(weight_.begin(), c.in_c, 0.0f);
    if (c.out_c > 3) weight_[std::size_t{2} * c.in_c] = 50;
    bias_ = random.vector(c.out_c);
    mean_ = random.vector(c.in_c);
    for (int p = 0; p < c.pixels; ++p)
      offsets_.push_back(c.padded_output ? (p / 3 * 5 + p % 3 + 1) * lanes_ : p * lanes_);
    for (const std::int32_t offset : offsets_) offset_bytes_.push_back(offset * int{sizeof(float)});
    out_block_ = offsets_.back() + lanes_ + 5;
    residual_ = random.vector(divide_up(c.out_c, lanes_) * out_block_);
  }

  /// A description of the first wrong output, or nothing.
  std::string run() {
    GuardedOutput output(residual_.size()), prepared(format_.prepared_bytes(c_.in_c, run_) / sizeof(float));
    // In two parts, as threads do it.
    for (const auto& [first, count] : {std::pair{0, run_ / 2}, {run_ / 2, run_ - run_ / 2}})
      if (count > 0)
        format_.prepare({.input = as_bytes(input_.data() + std::ptrdiff_t{first} * lanes_),
                         .input_block_stride = in_block_ * kFloat,
                         .prepared = as_bytes(prepared.data()),
                         .run_pixels = run_,
                         .first = first,
                         .in_c = c_.in_c,
                         .pixels = count,
                         .is_signed = c_.is_signed});
    if (!prepared.guards_intact()) return "guards of what is prepared overwritten";
    for (int first = 0; first < c_.out_c; first += 2 * lanes_) {
      const int vectors = c_.out_c - first > lanes_ ? 2 : 1;
      multiply(first / lanes_, vectors, prepared, output);
    }
    return output.guards_intact() ? compare(output) : "guards overwritten";
  }

 private:
  std::size_t at_input(int channel, int pixel) const {
    return channel / lanes_ * in_block_ + std::ptrdiff_t{pixel} * lanes_ + channel % lanes_;
  }

  void multiply(int first_vector, int vectors, const GuardedOutput& prepared, GuardedOutput& output) {
    std::vector<float> weights(format_.weights_bytes(c_.in_c, 2 * vectors) / sizeof(float));
    std::vector<float> bias(std::size_t(vectors) * lanes_);
    format_.pack({.weight = weight_.data(),
                  .layer_bias = bias_.data(),
                  .out_c = c_.out_c,
                  .row = c_.in_c,
                  .first_out = first_vector * lanes_,
                  .halves = 2 * vectors,
                  .in_c = c_.in_c,
                  .weights = as_bytes(weights.data()),
                  .bias = bias.data(),
                  .first_bias = bias.data(),
                  .input_mean = c_.means ? mean_.data() : nullptr,
                  .is_signed = c_.is_signed});
    const std::int32_t* const offsets = c_.padded_output ? offset_bytes_.data() : nullptr;
    const Epilogue epilogue{
        .clamp_min = c_.clamp_min,
        .clamp_max = c_.clamp_max,
        .residual = c_.residual ? ConstView{as_bytes(residual_.data() + first_vector * out_block_),
                                            out_block_ * kFloat, offsets}
                                : ConstView{},
        .rounds_to_bf16 = c_.rounds};
    format_.multiply(
        {.weights = as_bytes(weights.data()),
         .bias = bias.data(),
         .output = {as_bytes(output.data() + first_vector * out_block_), out_block_ * kFloat, offsets},
         .epilogue = &epilogue,
         .in_c = c_.in_c,
         .pixels = c_.pixels,
         .vectors = vectors,
         .prepared = {as_bytes(prepared.data()), run_, c_.before}});
  }

  std::string compare(const GuardedOutput& output) const {
    std::vector<bool> written(output.size(), false);
    const int vectors = divide_up(c_.out_c, lanes_);
    for (int o = 0; o < vectors * lanes_; ++o) {
      for (int p = 0; p < c_.pixels; ++p) {
        const std::size_t at = o / lanes_ * out_block_ + offsets_[p] + o % lanes_;
        written[at] = true;
        const float found = output.data()[at], residual = c_.residual ? residual_[at] : 0.0f;
        if (o >= c_.out_c ? std::isfinite(found) : is_right(found, o, c_.before + p, residual)) continue;
        std::ostringstream wrong;
        wrong << "channel " << o << " pixel " << p << ": found " << found;
        return wrong.str();
      }
    }
    for (std::size_t i = 0; i < output.size(); ++i)
      if (!written[i] && !std::isnan(output.data()[i])) return "wrote between the pixels";
    return {};
  }

  bool is_right(float found, int o, int p, float residual) const {
    return format_.precision == Precision::int8 ? found == int8_output(o, p, residual)
                                                : is_right_bf16(found, o, p, residual);
  }

  /// Every step as kernels/low/int8-inl.h and quantise.h say it, the only ones that round one by one.
  float int8_output(int o, int p, float residual) const {
    float largest = 0, largest_weight = 0;
    for (int i = 0; i < c_.in_c; ++i) {
      largest = std::max(largest, std::abs(input_[at_input(i, p)]));
      largest_weight = std::max(largest_weight, std::abs(weight_[std::size_t(o) * c_.in_c + i]));
    }
    const float levels = c_.is_signed ? 127.0f : 255.0f;
    const float pixel_scale = largest / levels, steps = largest > 0 ? levels / largest : 0;
    const float weight_scale = largest_weight / 127;
    std::int64_t sum = 0;
    double bias = bias_[o];
    for (int i = 0; i < c_.in_c; ++i) {
      const float w = weight_[std::size_t(o) * c_.in_c + i];
      const double value = weight_scale > 0 ? std::nearbyint(w / weight_scale) : 0;
      sum += std::llrint(input_[at_input(i, p)] * steps) * static_cast<std::int64_t>(value);
      if (c_.means) bias += (double(w) - double(weight_scale) * value) * mean_[i];
    }
    const float scaled = static_cast<float>(sum) * (pixel_scale * weight_scale);
    return std::clamp(scaled + static_cast<float>(bias), c_.clamp_min, c_.clamp_max) + residual;
  }

  bool is_right_bf16(float found, int o, int p, float residual) const {
    ReferenceSum sum;
    sum.add(bias_[o]);
    for (int i = 0; i < c_.in_c; ++i)
      sum.add(double(nearest_bf16(input_[at_input(i, p)])) *
              nearest_bf16(weight_[std::size_t(o) * c_.in_c + i]));
    if (!c_.rounds) return sum.matches(found, c_.clamp_min, c_.clamp_max, residual);
    const auto rounded = [&](double value) {
      const auto clamped = std::clamp(static_cast<float>(value), c_.clamp_min, c_.clamp_max);
      return nearest_bf16(clamped + residual);
    };
    const double slack = sum.tolerance() + 1e-6 * (std::abs(sum.sum) + std::abs(residual));
    return found == nearest_bf16(found) && rounded(sum.sum - slack) <= found &&
           found <= rounded(sum.sum + slack);
  }

  const PanelFormat& format_;
  LowCase c_;
  int lanes_;
  int run_;
  std::ptrdiff_t in_block_ = 0, out_block_ = 0;  // floats
  std::vector<float> input_, weight_, bias_, mean_, residual_;
  std::vector<std::int32_t> offsets_, offset_bytes_;
};

/// Runs the case in every format of these precisions that this CPU has.
template <typename MakeCase>
void check_low_formats(const MakeCase& make_case) {
  for_each_isa([&](const KernelTable& table) {
    for (const PanelFormat& format : table.formats) {
      if (format.precision == Precision::float32) continue;
      const std::string name = format.name;
      if (!cpu_features().has(format.needs)) {
        WARN("skipped: this machine cannot run " << name);
        continue;
      }
      make_case(table, [&](LowCase c, std::uint32_t seed) {
        c.rounds = c.rounds && format.precision == Precision::bfloat16;
        INFO(name << ": " << c);
        REQUIRE(LowRun(table, format, c, seed).run() == "");
      });
    }
  });
}

}  // namespace

TEST_CASE("low precision: every input and output channel count up to some vectors and a bit") {
  check_low_formats([](const KernelTable& table, const auto& check) {
    for (int in_c = 1; in_c <= 5 * table.lanes() + 1; ++in_c)
      for (const int out_c :
           {1, 2, table.lanes() - 1, table.lanes(), table.lanes() + 1, 2 * table.lanes() + 1})
        check({.in_c = in_c,
               .out_c = out_c,
               .pixels = 1 + (in_c * 7 + out_c) % 31,
               .before = in_c % 3,
               .after = out_c % 2,
               .is_signed = in_c % 2 == 0,
               .residual = in_c % 4 == 0,
               .padded_output = (in_c + out_c) % 2 == 0,
               .means = in_c % 5 != 0,
               .rounds = out_c % 2 == 0},
              in_c * 100 + out_c);
  });
}

TEST_CASE("low precision: every pixel count up to three tiles, and every clamp") {
  check_low_formats([](const KernelTable& table, const auto& check) {
    constexpr std::array<std::pair<float, float>, 4> kClamps{{{0, 6}, {0, kInf}, {-kInf, kInf}, {-1, 1}}};
    for (int pixels = 1; pixels <= 90; ++pixels)
      for (const int out_c : {table.lanes(), 2 * table.lanes()})
        check({.in_c = 19,
               .out_c = out_c,
               .pixels = pixels,
               .before = pixels % 4,
               .is_signed = pixels % 3 != 0,
               .residual = pixels % 2 == 0,
               .means = true,
               .rounds = pixels % 5 == 0,
               .clamp_min = kClamps[pixels % 4].first,
               .clamp_max = kClamps[pixels % 4].second},
              pixels);
  });
}

TEST_CASE("low precision: the shapes of MobileNetV2") {
  check_low_formats([](const KernelTable&, const auto& check) {
    std::uint32_t seed = 0;
    for (const auto& [in_c, out_c] :
         {std::pair{32, 16}, {16, 96}, {144, 24}, {192, 64}, {576, 160}, {960, 320}, {320, 1280}})
      for (const bool is_signed : {true, false})
        check({.in_c = in_c, .out_c = out_c, .pixels = 49, .is_signed = is_signed, .means = true}, ++seed);
  });
}

TEST_CASE("low precision: the largest sums of int8 are exact") {
  // 960 channels of the largest magnitudes, all of one sign.
  for_each_isa([](const KernelTable& table) {
    for (const PanelFormat& format : table.formats) {
      if (format.precision != Precision::int8 || !cpu_features().has(format.needs)) continue;
      INFO(format.name);
      const int lanes = table.lanes(), in_c = 960;
      for (const bool is_signed : {true, false}) {
        const std::vector<float> input(std::size_t(divide_up(in_c, lanes)) * lanes, is_signed ? -2.0f : 2.0f);
        const std::vector<float> weight(std::size_t(lanes) * in_c, -3.0f), bias(lanes, 0.5f);
        std::vector<float> packed(format.weights_bytes(in_c, 2) / sizeof(float)), packed_bias(lanes),
            prepared(format.prepared_bytes(in_c, 1) / sizeof(float)), output(lanes);
        format.pack({.weight = weight.data(),
                     .layer_bias = bias.data(),
                     .out_c = lanes,
                     .row = in_c,
                     .halves = 2,
                     .in_c = in_c,
                     .weights = as_bytes(packed.data()),
                     .bias = packed_bias.data(),
                     .is_signed = is_signed});
        format.prepare({.input = as_bytes(input.data()),
                        .input_block_stride = lanes * kFloat,
                        .prepared = as_bytes(prepared.data()),
                        .run_pixels = 1,
                        .in_c = in_c,
                        .pixels = 1,
                        .is_signed = is_signed});
        const Epilogue epilogue{.clamp_min = -kInf, .clamp_max = kInf};
        format.multiply({.weights = as_bytes(packed.data()),
                         .bias = packed_bias.data(),
                         .output = {as_bytes(output.data()), lanes * kFloat},
                         .epilogue = &epilogue,
                         .in_c = in_c,
                         .pixels = 1,
                         .vectors = 1,
                         .prepared = {as_bytes(prepared.data()), 1}});
        const float levels = is_signed ? 127.0f : 255.0f, scale = (2.0f / levels) * (3.0f / 127);
        const float sum = 127.0f * levels * 960;
        CHECK(output[0] == (is_signed ? sum : -sum) * scale + 0.5f);
      }
    }
  });
}
