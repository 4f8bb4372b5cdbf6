// Packing against its definition, element by element, into memory that is NaN before.
#include "kernels/packing.h"

#include <cmath>
#include <string>

#include "kernels/panels.h"
#include "support/kernel_fixture.h"

using namespace mnv2;
using namespace mnv2::kernels;
using namespace mnv2::test;

namespace {

/// A random matrix with a bias, and some of it to be packed.
struct RandomPart {
  std::vector<float> weight, bias;
  PackArgs args;

  RandomPart(RandomFloats& random, int lanes) {
    const int out_c = random.integer(1, 40), row = random.integer(1, 40),
              first_in = random.integer(0, row - 1);
    weight = random.vector(std::size_t(out_c) * row);
    bias = random.vector(out_c);
    args = {.weight = weight.data(),
            .layer_bias = bias.data(),
            .out_c = out_c,
            .row = row,
            .first_out = random.integer(0, 2) * lanes,  // at or above out_c, too
            .first_in = first_in,
            .in_c = random.integer(1, row - first_in),
            .weight_scale = std::ldexp(1.0f, random.integer(-3, 3)),
            .bias_scale = std::ldexp(1.0f, random.integer(-3, 3))};
  }
  bool has(int out, int in) const { return args.first_out + out < args.out_c && in < args.in_c; }
  float at(int out, int in) const {
    return weight[std::size_t(args.first_out + out) * args.row + args.first_in + in];
  }
  float packed_weight(int out, int in) const { return has(out, in) ? at(out, in) * args.weight_scale : 0; }
  float packed_bias(int out) const {
    return args.first_out + out < args.out_c ? bias[args.first_out + out] * args.bias_scale : 0;
  }
};

}  // namespace

TEST_CASE("pack_columns: any part of a matrix, zeros where it has no outputs, no scale") {
  RandomFloats random(1);
  for (int trial = 0; trial < 200; ++trial) {
    const RandomPart part(random, 4);
    const int outs = 4 * random.integer(1, 8);
    GuardedOutput panel(std::size_t(outs) * part.args.in_c);
    pack_columns(part.args, outs, panel.data());
    REQUIRE(panel.guards_intact());
    for (int c = 0; c < part.args.in_c; ++c)
      for (int n = 0; n < outs; ++n)
        REQUIRE(panel.data()[c * outs + n] == (part.has(n, c) ? part.at(n, c) : 0));
  }
}

TEST_CASE("pack_panel: scaled weights and biases of whole vectors") {
  RandomFloats random(2);
  for (int trial = 0; trial < 200; ++trial) {
    const int lanes = 1 << random.integer(2, 4);
    RandomPart part(random, lanes);
    part.args.halves = 2 * random.integer(1, 2);
    const int outs = part.args.halves / 2 * lanes;
    GuardedOutput panel(std::size_t(outs) * part.args.in_c), bias(outs);
    part.args.weights = as_bytes(panel.data());
    part.args.bias = bias.data();
    pack_panel(part.args, lanes);
    REQUIRE(panel.guards_intact());
    REQUIRE(bias.guards_intact());
    for (int n = 0; n < outs; ++n) {
      REQUIRE(bias.data()[n] == part.packed_bias(n));
      for (int c = 0; c < part.args.in_c; ++c)
        REQUIRE(panel.data()[c * outs + n] == part.packed_weight(n, c));
    }
  }
}

TEST_CASE("pack_halves: two inputs in turns, zeros where there is no output or input") {
  RandomFloats random(3);
  for (int trial = 0; trial < 200; ++trial) {
    const int lanes = 1 << random.integer(2, 4), half = lanes / 2;
    RandomPart part(random, lanes);
    const int halves = part.args.halves = 1 + 2 * random.integer(0, 1), pairs = (part.args.in_c + 1) / 2;
    const int outs = (halves + 1) / 2 * lanes;
    GuardedOutput panel(std::size_t(pairs) * halves * lanes), bias(outs);
    part.args.weights = as_bytes(panel.data());
    part.args.bias = bias.data();
    pack_halves(part.args, lanes);
    REQUIRE(panel.guards_intact());
    REQUIRE(bias.guards_intact());
    for (int n = 0; n < outs; ++n) REQUIRE(bias.data()[n] == part.packed_bias(n));
    for (int i = 0; i < pairs; ++i)
      for (int h = 0; h < halves; ++h)
        for (int l = 0; l < lanes; ++l)
          REQUIRE(panel.data()[(i * halves + h) * lanes + l] ==
                  part.packed_weight(h * half + l / 2, 2 * i + l % 2));
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
    pack_depthwise({.weight = weight.data(),
                    .bias = bias.data(),
                    .channels = channels,
                    .first_channel = first,
                    .weight_scale = 0.5f,
                    .bias_scale = 4},
                   4, packed.data());
    REQUIRE(packed.guards_intact());
    for (int l = 0; l < 4; ++l) {
      const bool there = first + l < channels;
      for (int tap = 0; tap < 9; ++tap)
        REQUIRE(packed.data()[tap * 4 + l] == (there ? weight[(first + l) * 9 + tap] * 0.5f : 0));
      REQUIRE(packed.data()[36 + l] == (there ? bias[first + l] * 4 : 0));
    }
  }
}

namespace {

/// "first vector: name of the format * half vectors" of each panel.
std::string cut(const KernelTable& table, const PanelWish& wish) {
  std::string text;
  for (const PanelCut& panel : cut_panels(table.formats, table.lanes(), wish))
    text += std::to_string(panel.first_vector) + ": " + panel.format->name + '*' +
            std::to_string(panel.halves) + ' ';
  return text;
}

}  // namespace

TEST_CASE("cut_panels: whole vectors, or a last panel of half vectors where the layer's outputs end in one") {
  for_each_isa([](const KernelTable& table) {
    const int lanes = table.lanes();
    CHECK(cut(table, {.out_c = lanes, .in_c = 9}) == "0: f32*2 ");
    CHECK(cut(table, {.out_c = lanes / 2, .in_c = 9}) == "0: f32*2 ");
    CHECK(cut(table, {.out_c = 2 * lanes + 1, .in_c = 9}) == "0: f32*4 2: f32*2 ");
    CHECK(cut(table, {.out_c = lanes / 2, .in_c = 9, .half_vectors = true}) == "0: f32-halves*1 ");
    CHECK(cut(table, {.out_c = lanes / 2 + 1, .in_c = 9, .half_vectors = true}) == "0: f32*2 ");
    CHECK(cut(table, {.out_c = lanes + 1, .in_c = 9, .half_vectors = true}) == "0: f32-halves*3 ");
    CHECK(cut(table, {.out_c = 3 * lanes + 1, .in_c = 9, .half_vectors = true}) ==
          "0: f32*4 2: f32-halves*3 ");
  });
}

TEST_CASE("cut_panels: formats that cancel are taken where they are welcome and there is enough to add") {
  for_each_isa([](const KernelTable& table) {
    const int lanes = table.lanes();
    const bool pairs = table.isa == Isa::avx512_zen;
    const std::string two = pairs ? "0: f32-pairs*4 " : "0: f32*4 ";
    CHECK(cut(table, {.out_c = 2 * lanes, .in_c = 24}) == "0: f32*4 ");
    CHECK(cut(table, {.out_c = 2 * lanes, .in_c = 24, .cancelling = true}) == two);
    CHECK(cut(table, {.out_c = 2 * lanes, .in_c = 23, .cancelling = true}) == "0: f32*4 ");
    CHECK(cut(table, {.out_c = 3 * lanes, .in_c = 24, .cancelling = true}) == two + "2: f32*2 ");
    // Three half vectors: alone they are halves; beside others, whole vectors share what is prepared.
    CHECK(cut(table, {.out_c = lanes + 1, .in_c = 24, .cancelling = true, .half_vectors = true}) ==
          "0: f32-halves*3 ");
    CHECK(cut(table, {.out_c = 3 * lanes + 1, .in_c = 24, .cancelling = true, .half_vectors = true}) ==
          two + (pairs ? "2: f32-pairs*4 " : "2: f32*4 "));
  });
}

TEST_CASE("cut_panels: a format is left out where the CPU lacks what it needs") {
  const KernelTable& table = kernel_table(Isa::portable);
  PanelFormat first = *table.formats.begin(), second = first;
  first.needs = kSpareAdders;
  first.halves = second.halves = 1u << 4;
  const PanelFormat rows[] = {first, second};
  PanelWish wish{.out_c = 2 * table.lanes(), .in_c = 8};
  CHECK(cut_panels({rows, 2}, table.lanes(), wish).front().format == &rows[1]);
  wish.cpu = kSpareAdders | kNeon;
  CHECK(cut_panels({rows, 2}, table.lanes(), wish).front().format == &rows[0]);
}
