// Whole networks: every instruction set against plain loops, and every thread count against one thread.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <random>
#include <thread>

#include "core/buffer.h"
#include "core/thread_pool.h"
#include "kernels/contracts.h"
#include "mnv2/error.h"
#include "mnv2/layer_shapes.h"
#include "mnv2/network.h"
#include "model/pack.h"
#include "model/pairing.h"
#include "model/plan/stages.h"
#include "support/catch.h"
#include "support/expect_error.h"
#include "support/model_builder.h"
#include "support/naive_network.h"

using namespace mnv2;
using namespace mnv2::test;

namespace {

Model build(const TempDir& dir, const Architecture& architecture, std::uint32_t seed = 1) {
  const auto path = dir.path() / "model.safetensors";
  ModelFile file = make_model_file(architecture, {}, {}, seed);
  add_input_means(file, architecture, seed);
  write_file(path, file.serialize());
  return Model::load(path);
}

std::vector<float> random_image(int h, int w, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> image(std::size_t{3} * h * w);
  for (float& x : image) x = normal(engine);
  return image;
}

struct Result {
  std::vector<float> logits, embedding;
  bool operator==(const Result&) const = default;
};

Result run(const Network& network, Workspace& workspace, const std::vector<float>& image) {
  const PlanarView view = workspace.input();
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < view.height; ++y)
      std::copy_n(image.begin() + (std::ptrdiff_t{c} * view.height + y) * view.width, view.width,
                  view.data + c * view.plane_stride + y * view.row_stride);
  Result result{std::vector<float>(network.num_outputs(), NAN), {}};
  network.forward(workspace, result.logits);
  result.embedding.assign(workspace.embedding().begin(), workspace.embedding().end());
  return result;
}

/// The contract of the engine: within 1e-4 of the largest magnitude. None agree with none.
bool agrees(const std::vector<float>& found, const std::vector<double>& expected, double tolerance = 1e-4) {
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    if (!(std::abs(found[i] - expected[i]) <= difference)) difference = std::abs(found[i] - expected[i]);
  }
  return found.size() == expected.size() && (largest > 0 || expected.empty()) &&
         difference <= tolerance * largest;
}

/// In lower precisions float32 sums now and then fall on the other side of a half than those of the reference: then one
/// factor differs by a step, of 2^-8 of it (bfloat16) or 1/127 of the largest (int8).
constexpr double tolerance_of(Precision precision) {
  return precision == Precision::float32 ? 1e-4 : precision == Precision::bfloat16 ? 0.01 : 0.02;
}

/// Checks `architecture` at h x w in one precision on every instruction set, with several numbers of threads.
void check_precision(const Model& model, const std::vector<float>& image, int h, int w, std::uint32_t seed,
                     Precision precision) {
  const NaiveResult expected = run_naive(model, image, h, w, precision);
  std::optional<Result> first;
  for (const Isa isa : supported_isas()) {
    INFO(std::string(precision_name(precision))
         << " isa " << std::string(isa_name(isa)) << " input " << h << " x " << w << " seed " << seed);
    const Network network(
        model,
        {.isa = isa, .precision = precision, .input_h = h, .input_w = w, .pack_threads = 1 + int(seed % 3)});
    CHECK(network.precision() == precision);
    Workspace one(network, 1);
    const Result single = run(network, one, image);
    CHECK(agrees(single.logits, expected.logits, tolerance_of(precision)));
    CHECK(agrees(single.embedding, expected.embedding, tolerance_of(precision)));
    CHECK(run(network, one, image) == single);  // nothing is left over from the first run
    CHECK(std::equal(image.begin(), image.begin() + w,
                     one.input().data));  // forward() does not change its input
    // The stages of lower precisions are cut alike for any number of threads; float32 has others for one or two.
    const bool all = precision == Precision::float32;
    for (const int threads : all ? std::vector{2, 3, 4, 5, 7} : std::vector{2, 5}) {
      INFO("threads " << threads);
      Workspace several(network, threads);
      CHECK(several.threads() == threads);
      CHECK(run(network, several, image) == single);
    }
    if (!first) first = single;
    if (precision == Precision::int8) CHECK(single == *first);  // the same bits on every instruction set
  }
}

void check(const Architecture& architecture, int h, int w, std::uint32_t seed) {
  const TempDir dir;
  const Model model = build(dir, architecture, seed);
  const auto image = random_image(h, w, seed);
  for (const Precision precision : kPrecisions) check_precision(model, image, h, w, seed, precision);
}

}  // namespace

TEST_CASE("network: odd channel counts, no expansion in any place, residuals, strides") {
  check(make_architecture(7, {{1, 5, 1}, {6, 9, 2}, {6, 9, 1}, {3, 17, 2}}, 21, 11), 33, 47, 1);
  check(make_architecture(16, {{1, 16, 1}, {1, 16, 1}, {1, 24, 2}, {4, 24, 1}}, 40, 3), 64, 40,
        2);  // stem kept
  check(make_architecture(9, {{1, 12, 2}, {1, 12, 1}, {1, 12, 1}}, 33, 130), 65, 65, 3);
  check(make_architecture(20, {{6, 20, 1}, {2, 8, 2}, {1, 8, 2}}, 64, 7), 31, 30,
        4);  // expansion after the stem
}

TEST_CASE("network: maps from one pixel on") {
  const Architecture architecture = make_architecture(8, {{1, 8, 1}, {6, 12, 2}, {6, 12, 1}}, 24, 6);
  for (const auto& [h, w] : {std::pair{1, 1}, {1, 9}, {9, 1}, {2, 3}, {4, 4}, {5, 70}, {70, 5}})
    check(architecture, h, w, 6);
}

TEST_CASE("network: bands and chunks of every remainder") {
  // Around the size where blocks change from chunks to bands, and bands that end in one, two or three rows.
  const Architecture architecture =
      make_architecture(6, {{1, 6, 1}, {6, 10, 1}, {6, 10, 1}, {6, 14, 2}}, 18, 4);
  for (int h = 46; h <= 54; ++h) check(architecture, h, 49, static_cast<std::uint32_t>(h));
}

TEST_CASE("network: random block tables") {
  std::mt19937 engine(17);
  const auto integer = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(engine);
  };
  for (std::uint32_t seed = 0; seed < 12; ++seed) {
    std::vector<BlockSpec> blocks(integer(1, 5));
    for (BlockSpec& block : blocks)
      block = {
          .expand = integer(0, 2) == 0 ? 1 : integer(2, 6), .out_c = integer(1, 40), .stride = integer(1, 2)};
    check(make_architecture(integer(1, 40), blocks, integer(1, 100), integer(1, 200)), integer(1, 80),
          integer(1, 80), seed);
  }
}

TEST_CASE("network: separable blocks without a head, by bands and by chunks") {
  check(make_separable_architecture(8, {{1, 16, 1}, {1, 24, 2}, {1, 24, 1}, {1, 40, 2}}, 11), 97, 70, 1);
  check(make_separable_architecture(5, {{1, 70, 2}, {1, 150, 1}, {1, 33, 2}, {1, 260, 1}}, 3), 50, 61, 2);
  check(make_separable_architecture(32, {{1, 300, 1}, {1, 290, 1}}, 5), 48, 48, 3);
  check(mobilenet_v1_architecture(0.25, 10), 96, 128, 4);
}

TEST_CASE("network: SAME padding on even and odd sides, at the stem and in every kind of block") {
  Architecture inverted = make_architecture(8, {{1, 8, 2}, {6, 12, 2}, {1, 9, 2}, {6, 9, 1}}, 24, 6);
  Architecture separable = make_separable_architecture(9, {{1, 16, 2}, {1, 24, 2}, {1, 40, 1}}, 7);
  for (Architecture* architecture : {&inverted, &separable}) {
    architecture->padding = Padding::same;
    for (int h = 61; h <= 72; ++h) check(*architecture, h, 131 - h, static_cast<std::uint32_t>(h));
    for (const auto& [h, w] : {std::pair{1, 1}, {2, 2}, {2, 7}, {3, 4}, {118, 6}, {8, 119}})
      check(*architecture, h, w, 5);
    architecture->stem.stride = 1;
    check(*architecture, 30, 31, 6);
  }
}

namespace {

NetworkPairing pairing_of(const Model& model) { return choose_pairing(model, foretell_statistics(model)); }

}  // namespace

TEST_CASE("network: any number of threads packs the same weights") {
  Architecture features = make_architecture(8, {{1, 8, 1}, {6, 12, 2}}, 24, 6);
  features.dense.clear();
  std::uint32_t seed = 0;
  for (const Architecture& architecture :
       {mobilenet_v2_architecture(), mobilenet_v1_architecture(0.25, 10), tiny_architecture(3), features,
        make_architecture(6, {{6, 10, 1}}, 70, 200)}) {
    const TempDir dir;
    const Model model = build(dir, architecture, ++seed);
    for (const Isa isa : supported_isas()) {
      const NetworkPlan plan =
          make_plan(architecture, kernels::kernel_table(isa), 96, 96, Precision::float32, pairing_of(model));
      Buffer expected(plan.arena_bytes);
      ThreadPool one(1);
      pack_weights(plan, model, one, expected.data());
      for (const int threads : {2, 3, 8}) {
        INFO("seed " << seed << " isa " << std::string(isa_name(isa)) << " threads " << threads);
        Buffer arena(plan.arena_bytes);
        ThreadPool several(threads);
        pack_weights(plan, model, several, arena.data());
        CHECK(std::equal(arena.data(), arena.data() + arena.size(), expected.data()));
      }
    }
  }
}

namespace {

/// A model file whose tensor `name` is multiplied by `factor`.
std::string scale_tensor(std::string file, const std::string& name, float factor) {
  std::uint64_t header = 0;
  std::memcpy(&header, file.data(), sizeof header);
  const std::string key = "\"data_offsets\":[";
  const std::size_t at = file.find(key, file.find('"' + name + '"')) + key.size();
  std::size_t digits = 0;
  const std::size_t begin = std::stoull(file.substr(at), &digits);
  const std::size_t end = std::stoull(file.substr(at + digits + 1));
  for (std::size_t i = sizeof header + header + begin; i < sizeof header + header + end; i += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, file.data() + i, sizeof value);
    value *= factor;
    std::memcpy(file.data() + i, &value, sizeof value);
  }
  return file;
}

}  // namespace

TEST_CASE("network: sums in pairs are scaled by how large their inputs are") {
  const TempDir dir;
  const Architecture architecture = mobilenet_v2_architecture();
  const auto choose = [&](float factor) {
    const auto path = dir.path() / "model.safetensors";
    std::string file = serialize_model(architecture, {}, {}, 3);
    for (const char* name : {"blocks.0.project.weight", "blocks.0.project.bias"})
      file = scale_tensor(file, name, factor);
    file = scale_tensor(file, "blocks.1.expand.weight", 1 / factor);
    write_file(path, file);
    return pairing_of(Model::load(path));
  };
  const NetworkPairing plain = choose(1), scaled = choose(1024);
  REQUIRE(plain.blocks.size() == architecture.blocks.size());
  REQUIRE(scaled.blocks.size() == architecture.blocks.size());
  // The same network, with larger numbers between blocks 0 and 1.
  CHECK(scaled.blocks[0].filtered_scale == 32 * plain.blocks[0].filtered_scale);
  CHECK(scaled.blocks[1].hidden_scale == 1024 * 1024 * plain.blocks[1].hidden_scale);
  CHECK(scaled.blocks[1].filtered_scale == plain.blocks[1].filtered_scale);
  CHECK(scaled.blocks[2].hidden_scale == plain.blocks[2].hidden_scale);
  bool any_scale = false;
  int exponent = 0;
  for (std::size_t i = 0; i < plain.blocks.size(); ++i) {
    const BlockPairing& s = plain.blocks[i];
    INFO("block " << i);
    CHECK(s.expand == architecture.blocks[i].expand.has_value());
    CHECK(s.project);
    CHECK(std::frexp(s.hidden_scale, &exponent) == 0.5f);
    CHECK(std::frexp(s.filtered_scale, &exponent) == 0.5f);
    any_scale |= s.hidden_scale != 1 && s.filtered_scale != 1;
  }
  CHECK(any_scale);
}

TEST_CASE("network: a head whose weights are much smaller or larger than its inputs is not summed in pairs") {
  const TempDir dir;
  const auto path = dir.path() / "model.safetensors";
  const std::string file = serialize_model(mobilenet_v2_architecture(), {}, {}, 3);
  std::vector<bool> in_pairs;
  for (int exponent = -20; exponent <= 20; ++exponent) {
    write_file(path, scale_tensor(file, "head.weight", std::ldexp(1.0f, exponent)));
    in_pairs.push_back(pairing_of(Model::load(path)).head);
  }
  CHECK(!in_pairs.front());
  CHECK(!in_pairs.back());
  const auto first = std::find(in_pairs.begin(), in_pairs.end(), true);
  const auto last = std::find(first, in_pairs.end(), false);
  CHECK(last - first >= 2);
  CHECK(last - first <= 6);
  CHECK(std::find(last, in_pairs.end(), true) == in_pairs.end());
}

TEST_CASE("network: where activations have no bound nothing is summed in pairs") {
  const TempDir dir;
  Architecture architecture = make_architecture(32, {{1, 32, 1}, {6, 32, 1}, {6, 32, 1}}, 64, 10);
  const auto pairs = [&] {
    const Model model = build(dir, architecture);
    const NetworkPairing pairing = choose_pairing(model, foretell_statistics(model));
    return std::count_if(pairing.blocks.begin(), pairing.blocks.end(),
                         [](const BlockPairing& b) { return b.expand || b.project; }) +
           pairing.head;
  };
  CHECK(pairs() > 0);
  architecture.blocks[1].depthwise.clamp.max = std::numeric_limits<float>::infinity();
  CHECK(pairs() == 0);
}

TEST_CASE("network: weights of zero are not summed in pairs") {
  const TempDir dir;
  const auto path = dir.path() / "zeros.safetensors";
  const Architecture architecture = make_architecture(6, {{6, 10, 1}}, 70, 20);
  std::string file = serialize_model(architecture);
  std::uint64_t header = 0;
  std::memcpy(&header, file.data(), sizeof header);
  std::fill(file.begin() + static_cast<std::ptrdiff_t>(sizeof header + header), file.end(), '\0');
  write_file(path, file);
  const Model model = Model::load(path);
  const NetworkPairing pairing = pairing_of(model);
  CHECK(!pairing.blocks.front().expand);
  CHECK(!pairing.blocks.front().project);
  CHECK(!pairing.head);
}

TEST_CASE("network: without a classifier the embedding is computed and classes are refused") {
  Architecture features = make_architecture(8, {{1, 8, 1}, {6, 12, 2}}, 24, 6);
  features.dense.clear();
  check(features, 40, 33, 1);
  const TempDir dir;
  const Network network(build(dir, features), {.input_h = 32, .input_w = 32});
  CHECK(network.num_classes() == 0);
  CHECK(network.embedding_size() == 24);
  Workspace workspace(network);
  std::vector<float> logits(6);
  CHECK(error_message(ErrorCode::invalid_argument, [&] { network.forward(workspace, logits); }) ==
        "logits: room for 6, expected 0: the model has no classifier, only an embedding");

  features.head.reset();
  check(features, 33, 40, 2);
}

TEST_CASE("network: hidden fully connected layers of every width around a vector and a panel") {
  const Clamp relu{0, std::numeric_limits<float>::infinity()};
  std::uint32_t seed = 0;
  for (const int width : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 257}) {
    Architecture architecture = make_architecture(6, {{1, 8, 1}, {3, 12, 2}}, 24, 6);
    set_dense(architecture, {{width, relu}, {5}});
    check(architecture, 21, 18, ++seed);
    architecture.head.reset();
    set_dense(architecture, {{33, {-1, 1}}, {width, {0, 6}}, {130}, {width, {-0.5f, 2}}});
    check(architecture, 18, 21, ++seed);
  }
  Architecture deepest = make_architecture(6, {{3, 12, 2}}, 24, 6);
  set_dense(deepest,
            std::vector<DenseSpec>(64, {10}));  // linear: clamps would amplify rounding layer by layer
  check(deepest, 21, 18, ++seed);
}

TEST_CASE("network: hidden layers are timed, and their multiply-adds counted") {
  Architecture architecture = make_architecture(6, {{3, 12, 2}}, 24, 6);
  set_dense(architecture, {{500}, {400}, {7}});
  const TempDir dir;
  const Network network(build(dir, architecture), {.input_h = 8, .input_w = 8});
  CHECK(network.num_outputs() == 7);
  std::int64_t expected = 0;
  for (const LayerShape& shape : layer_shapes(architecture, 8, 8)) expected += shape.multiply_adds;
  CHECK(network.multiply_adds() == expected);
  Workspace workspace(network, 2);
  const std::size_t layers = architecture.layers().size();
  std::vector<float> logits(7);
  std::vector<double> seconds(layers);
  network.forward_timed(workspace, logits, seconds);
  for (std::size_t i = layers - 3; i < layers; ++i) CHECK(seconds[i] > 0);
}

TEST_CASE("network: activations of every kind in every place") {
  const float inf = std::numeric_limits<float>::infinity();
  const Clamp clamps[] = {{}, {0, 6}, {0, inf}, {-inf, 0.5f}, {0.25f, 1.5f}, {-1, 1}};
  for (std::uint32_t seed = 0; seed < 18; ++seed) {
    // Bands and chunks; the last block has a residual.
    Architecture architecture = make_architecture(8, {{1, 12, 1}, {3, 12, 1}, {6, 20, 2}, {6, 20, 1}}, 24, 6);
    std::mt19937 engine(seed);
    const auto any = [&] { return clamps[engine() % std::size(clamps)]; };
    architecture.stem.clamp = any();
    for (Block& block : architecture.blocks) {
      if (block.expand) block.expand->clamp = any();
      block.depthwise.clamp = any();
      block.project.clamp = any();
    }
    architecture.head->clamp = any();
    architecture.dense[0].clamp = any();
    check(architecture, 56, 51, seed);
  }
}

TEST_CASE("network: random networks of the whole family") {
  std::mt19937 engine(23);
  const auto integer = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(engine);
  };
  const auto chance = [&](int of) { return integer(1, of) == 1; };
  const Clamp relu{0, std::numeric_limits<float>::infinity()};
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    const bool separable = chance(2);
    std::vector<BlockSpec> blocks(integer(1, 6));
    for (BlockSpec& block : blocks)
      block = {.expand = separable || chance(3) ? 1 : integer(2, 6),
               .out_c = integer(1, separable ? 280 : 40),
               .stride = integer(1, 2)};
    const int classes = integer(1, 200);
    Architecture architecture = separable
                                    ? make_separable_architecture(integer(1, 40), blocks, classes)
                                    : make_architecture(integer(1, 40), blocks, integer(1, 100), classes);
    architecture.padding = chance(2) ? Padding::same : Padding::symmetric;
    architecture.stem.stride = integer(1, 2);
    if (chance(3)) architecture.stem.clamp = {};
    for (Block& block : architecture.blocks) {
      if (chance(4)) block.project.clamp = relu;
      if (chance(4)) block.depthwise.clamp = relu;
    }
    if (architecture.head && chance(3)) architecture.head->clamp = {};
    if (chance(3)) architecture.dense.clear();
    check(architecture, integer(1, 90), integer(1, 90), seed);
  }
}

TEST_CASE("network: MobileNetV1 1.0 at 224") {
  const TempDir dir;
  const Network network(build(dir, mobilenet_v1_architecture()));
  CHECK(network.multiply_adds() == 568740352);  // Howard et al. 2017, Table 4: 569 M
  CHECK(network.embedding_size() == 1024);
  check(mobilenet_v1_architecture(), 224, 224, 9);
}

TEST_CASE("network: MobileNetV2 1.0 at 224") {
  const Architecture architecture = mobilenet_v2_architecture(1000);
  const TempDir dir;
  const Network network(build(dir, architecture));
  CHECK(network.multiply_adds() == 300774272);  // Sandler et al. 2018, Table 4: 300 M
  CHECK(network.input_h() == 224);
  CHECK(network.num_classes() == 1000);
  CHECK(network.embedding_size() == 1280);
  check(architecture, 224, 224, 9);
}

TEST_CASE("network: small files that ask for huge buffers are refused before any is there") {
  const std::vector<BlockSpec> many(1000, {.expand = 1, .out_c = 1, .stride = 1});
  const TempDir dir;
  for (const Architecture& architecture :
       {make_architecture(1, many, 1, 1), make_architecture(300, {{2, 1, 1}}, 1, 1),
        make_architecture(1, {{1, 300, 1}}, 1, 1)}) {
    const Model model = build(dir, architecture);
    CHECK(Network(model, {.input_h = 64, .input_w = 64}).num_classes() == 1);
    REQUIRE_THROWS_AS(Network(model, {.input_h = 4096, .input_w = 4096}), Error);
  }
}

TEST_CASE("network: timed runs give the same result and a time for every layer") {
  const TempDir dir;
  const Network network(
      build(dir, make_architecture(8, {{1, 8, 2}, {6, 12, 2}, {1, 12, 1}, {6, 12, 1}}, 24, 6)),
      {.input_h = 90, .input_w = 90});
  const std::size_t layers = network.model().architecture().layers().size();
  for (const int threads : {1, 3}) {
    Workspace workspace(network, threads);
    const Result expected = run(network, workspace, random_image(90, 90, 1));
    std::vector<float> logits(6);
    std::vector<double> seconds(layers, 0.0);
    network.forward_timed(workspace, logits, seconds);
    CHECK(logits == expected.logits);
    for (std::size_t i = 0; i < layers; ++i) {
      INFO("threads " << threads << " layer " << network.model().architecture().layers()[i]->name);
      CHECK(seconds[i] > 0);
    }
    // A call that is refused leaves nothing behind: AddressSanitizer sees a clock that is gone.
    std::vector<float> short_logits(5);
    CHECK_THROWS_AS(network.forward_timed(workspace, short_logits, seconds), Error);
    network.forward(workspace, logits);
    const Network other(network.model(), {.input_h = 90, .input_w = 90});
    CHECK_THROWS_AS(other.forward_timed(workspace, logits, seconds), Error);
    network.forward(workspace, logits);
    CHECK(logits == expected.logits);
    seconds.pop_back();
    CHECK_THROWS_AS(network.forward_timed(workspace, logits, seconds), Error);
  }
}

TEST_CASE("network: many threads share one") {
  const TempDir dir;
  const Network network(build(dir, make_architecture(8, {{1, 8, 1}, {6, 12, 2}, {6, 12, 1}}, 24, 6)),
                        {.input_h = 60, .input_w = 60});
  std::vector<Result> expected;
  Workspace workspace(network, 1);
  for (std::uint32_t i = 0; i < 8; ++i) expected.push_back(run(network, workspace, random_image(60, 60, i)));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      Workspace own(network, 1 + static_cast<int>(i % 2));
      for (int repeat = 0; repeat < 5; ++repeat)
        if (run(network, own, random_image(60, 60, i)) != expected[i]) ++wrong;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong.load() == 0);
}

TEST_CASE("network: arguments out of range are refused") {
  const TempDir dir;
  const Model model = build(dir, make_architecture(8, {{6, 8, 1}}, 8, 2));
  CHECK_THROWS_AS(Network(model, {.input_h = -1}), Error);
  CHECK_THROWS_AS(Network(model, {.input_w = 5000}), Error);
  const Network network(model);
  CHECK_THROWS_AS(Workspace(network, 0), Error);
  CHECK_THROWS_AS(Workspace(network, 1025), Error);
  std::vector<float> too_few(1);
  Workspace workspace(network);
  CHECK_THROWS_AS(network.forward(workspace, too_few), Error);
  std::vector<float> logits(2);
  CHECK_NOTHROW(network.forward(workspace, logits));
  CHECK_THROWS_AS(Network(model).forward(workspace, logits), Error);
}

TEST_CASE("softmax and top_k") {
  std::vector<float> p{1000.0f, 1001.0f, -1000.0f};
  softmax(p, p);
  CHECK(std::abs(p[0] - 0.26894142f) < 1e-7f);
  CHECK(std::abs(p[1] - 0.73105858f) < 1e-7f);
  CHECK(p[2] == 0.0f);
  const std::vector<float> tied{0.2f, 0.3f, 0.3f, 0.2f};
  const auto top = top_k(tied, 3);
  REQUIRE(top.size() == 3);
  CHECK(top[0].index == 1);
  CHECK(top[1].index == 2);
  CHECK(top[2].index == 0);
  CHECK(top_k(tied, 99).size() == 4);
  CHECK(top_k(tied, 0).empty());
}
