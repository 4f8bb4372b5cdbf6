// Packing against its definition, element by element, into memory that is NaN before.
#include "kernels/packing.h"
#include "support/kernel_fixture.h"

using namespace mnv2::kernels;
using namespace mnv2::test;

TEST_CASE("pack_panel: any part of a matrix, zeros where it has no outputs") {
  RandomFloats random(1);
  for (int trial = 0; trial < 200; ++trial) {
    const int out_c = random.integer(1, 40), in_c = random.integer(1, 40);
    const auto weight = random.vector(std::size_t(out_c) * in_c);
    const PanelRange range{.first_out = random.integer(0, out_c - 1),
                           .outs = 4 * random.integer(1, 8),
                           .first_in = random.integer(0, in_c - 1),
                           .ins = 1};
    PanelRange part = range;
    part.ins = random.integer(1, in_c - range.first_in);
    GuardedOutput panel(std::size_t(part.outs) * part.ins);
    pack_panel(weight, out_c, in_c, part, panel.data());
    REQUIRE(panel.guards_intact());
    for (int c = 0; c < part.ins; ++c)
      for (int n = 0; n < part.outs; ++n) {
        const int out = part.first_out + n;
        const float expected = out < out_c ? weight[std::size_t(out) * in_c + part.first_in + c] : 0.0f;
        REQUIRE(panel.data()[c * part.outs + n] == expected);
      }
  }
}

TEST_CASE("pack_halves: two inputs in turns, zeros where there is no output or input") {
  RandomFloats random(3);
  for (int trial = 0; trial < 200; ++trial) {
    const int lanes = 1 << random.integer(2, 4), half = lanes / 2;
    const int out_c = random.integer(1, 40), in_c = random.integer(1, 40);
    const auto weight = random.vector(std::size_t(out_c) * in_c);
    const int halves = random.integer(1, 3), first_in = random.integer(0, in_c - 1);
    const PanelRange range{.first_out = random.integer(0, out_c - 1),
                           .outs = halves * half,
                           .first_in = first_in,
                           .ins = random.integer(1, in_c - first_in)};
    const int pairs = (range.ins + 1) / 2;
    GuardedOutput panel(std::size_t(pairs) * halves * lanes);
    pack_halves(weight, out_c, in_c, range, lanes, panel.data());
    REQUIRE(panel.guards_intact());
    for (int i = 0; i < pairs; ++i)
      for (int h = 0; h < halves; ++h)
        for (int l = 0; l < lanes; ++l) {
          const int out = range.first_out + h * half + l / 2, in = 2 * i + l % 2;
          const bool there = out < out_c && in < range.ins;
          REQUIRE(panel.data()[(i * halves + h) * lanes + l] ==
                  (there ? weight[out * in_c + first_in + in] : 0.0f));
        }
  }
}

TEST_CASE("pack_bias: zeros above the last output, whole panels of zeros too") {
  const std::vector<float> bias{1, 2, 3, 4, 5};
  for (int first = 0; first <= 12; first += 4) {
    GuardedOutput packed(8);
    pack_bias(bias, first, 8, packed.data());
    REQUIRE(packed.guards_intact());
    for (int n = 0; n < 8; ++n) REQUIRE(packed.data()[n] == (first + n < 5 ? bias[first + n] : 0.0f));
  }
}

TEST_CASE("subtract_pair_products: the weights' products of every pair, block by block") {
  RandomFloats random(4);
  for (int trial = 0; trial < 200; ++trial) {
    const int lanes = 1 << random.integer(2, 4), outs = 2 * lanes, ins = random.integer(1, 3 * lanes + 1);
    const auto panel = random.vector(std::size_t(ins) * outs), before = random.vector(outs);
    GuardedOutput bias(outs);
    std::copy(before.begin(), before.end(), bias.data());
    subtract_pair_products(panel.data(), ins, outs, lanes, bias.data());
    REQUIRE(bias.guards_intact());
    for (int n = 0; n < outs; ++n) {
      ReferenceSum sum;
      sum.add(before[n]);
      for (int first = 0; first < (ins - 1) / 4 * 4; first += lanes) {
        const int pairs = std::min(lanes, (ins - 1) / 4 * 4 - first) / 3;
        for (int c = first; c < first + 2 * pairs; c += 2)
          sum.add(-double(panel[std::size_t(c) * outs + n]) * panel[std::size_t(c + 1) * outs + n]);
      }
      INFO("lanes " << lanes << " ins " << ins << " output " << n);
      REQUIRE(sum.matches(bias.data()[n], -INFINITY, INFINITY));
    }
  }
}

TEST_CASE("pack_depthwise: taps in row order, then the bias, zeros above the last channel") {
  RandomFloats random(2);
  const int channels = 11;
  const auto weight = random.vector(channels * 9), bias = random.vector(channels);
  for (int first = 0; first < 16; first += 4) {
    GuardedOutput packed(40);
    pack_depthwise(weight, bias, first, 4, packed.data());
    REQUIRE(packed.guards_intact());
    for (int l = 0; l < 4; ++l) {
      for (int tap = 0; tap < 9; ++tap)
        REQUIRE(packed.data()[tap * 4 + l] == (first + l < channels ? weight[(first + l) * 9 + tap] : 0.0f));
      REQUIRE(packed.data()[36 + l] == (first + l < channels ? bias[first + l] : 0.0f));
    }
  }
}
