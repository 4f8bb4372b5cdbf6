// Sessions: the same numbers as their parts give, one after the other.
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "mnv2/error.h"
#include "mnv2/session.h"
#include "support/catch.h"
#include "support/expect_error.h"
#include "support/model_builder.h"

using namespace mnv2;
using mnv2::test::TempDir;

namespace {

constexpr int kClasses = 10;
const Preprocessing kPreprocessing{.resize = 40, .crop = 33};

Model make_model(const Architecture& architecture, const Preprocessing& preprocessing = kPreprocessing) {
  const TempDir dir;
  const std::string path = (dir / "model.safetensors").string();
  mnv2::test::write_file(path, mnv2::test::serialize_model(architecture, preprocessing));
  return Model::load(path);
}

/// Noise, [height][width][3].
struct Pixels {
  int width, height;
  std::vector<std::uint8_t> bytes;

  Pixels(int w, int h, unsigned seed) : width(w), height(h), bytes(3u * w * h) {
    std::mt19937 random(seed);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 13);
  }
  ImageView view() const { return {bytes.data(), width, height, std::ptrdiff_t{3} * width}; }
};

std::vector<float> copied(std::span<const float> values) { return {values.begin(), values.end()}; }

/// What the parts give by hand: probabilities, then the embedding.
std::vector<std::vector<float>> by_hand(const Model& model, const Preprocessing& preprocessing,
                                        const Pixels& pixels, Isa isa) {
  const Network network(model, {.isa = isa, .input_h = preprocessing.crop, .input_w = preprocessing.crop});
  const Preprocessor preprocess(preprocessing, isa);
  Workspace workspace(network);
  Preprocessor::Scratch scratch;
  std::vector<float> scores(static_cast<std::size_t>(network.num_classes()));
  preprocess(pixels.view(), scratch, workspace.input());
  network.forward(workspace, scores);
  softmax(scores, scores);
  return {scores, copied(workspace.embedding())};
}

}  // namespace

TEST_CASE("session: the probabilities and the embedding are those of its parts, on every instruction set") {
  const Model model = make_model(mnv2::test::tiny_architecture(kClasses));
  const Preprocessing other{.resize = 50, .crop = 45};
  const Pixels pixels(61, 47, 1);
  for (const Isa isa : supported_isas()) {
    Session session(LoadedModel(model, {.isa = isa}), 2);
    const auto expected = by_hand(model, kPreprocessing, pixels, isa);
    CHECK(copied(session.classify(pixels.view())) == expected[0]);
    CHECK(copied(session.embedding()) == expected[1]);
    Session larger(LoadedModel(model, {.isa = isa, .preprocessing = other}));
    CHECK(larger.model().network().input_h() == 45);
    CHECK(copied(larger.classify(pixels.view())) == by_hand(model, other, pixels, isa)[0]);
  }
}

TEST_CASE("session: an image that was set is run without its pixels, as often as wanted") {
  const Model model = make_model(mnv2::test::tiny_architecture(kClasses));
  Session session{LoadedModel(model)};
  Pixels pixels(61, 47, 2);
  const std::vector<float> expected = copied(session.classify(pixels.view()));
  session.set_image(pixels.view());
  pixels.bytes.assign(pixels.bytes.size(), 0);
  CHECK(copied(session.run()) == expected);
  CHECK(copied(session.run()) == expected);
}

TEST_CASE("session: a model without classifier gives its embedding and no probabilities") {
  Architecture architecture = mnv2::test::tiny_architecture(kClasses);
  architecture.dense.clear();
  const Model model = make_model(architecture);
  Session session{LoadedModel(model)};
  const Pixels pixels(40, 40, 3);
  CHECK(session.classify(pixels.view()).empty());
  CHECK(copied(session.embedding()) == by_hand(model, kPreprocessing, pixels, best_isa())[1]);
}

TEST_CASE("session: it outlives the model it was made with, and may be moved") {
  std::optional<LoadedModel> loaded(make_model(mnv2::test::tiny_architecture(kClasses)));
  Session first(*loaded);
  loaded.reset();
  const Pixels pixels(40, 40, 4);
  const std::vector<float> expected = copied(first.classify(pixels.view()));
  Session moved(std::move(first));
  CHECK(copied(moved.classify(pixels.view())) == expected);
  Session assigned(moved.model());
  assigned = std::move(moved);
  CHECK(copied(assigned.classify(pixels.view())) == expected);
}

TEST_CASE("session: threads share a model, each with a session of its own") {
  const LoadedModel loaded(make_model(mnv2::test::tiny_architecture(kClasses)));
  std::vector<std::vector<float>> expected, found(8);
  for (unsigned i = 0; i < found.size(); ++i)
    expected.push_back(copied(Session(loaded).classify(Pixels(50, 40, i).view())));
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < found.size(); ++i)
    threads.emplace_back([&, i] {
      Session session(loaded);
      for (int repeat = 0; repeat < 5; ++repeat)
        found[i] = copied(session.classify(Pixels(50, 40, i).view()));
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(found == expected);
}

TEST_CASE("session: what cannot be is one clear error") {
  const Model model = make_model(mnv2::test::tiny_architecture(kClasses));
  const LoadedModel loaded(model);
  mnv2::test::error_message(ErrorCode::invalid_argument, [&] { Session(loaded, 0); });
  mnv2::test::error_message(ErrorCode::invalid_argument,
                            [&] { LoadedModel(model, {.preprocessing = Preprocessing{.resize = 0}}); });
  mnv2::test::error_message(ErrorCode::invalid_argument,
                            [&] { LoadedModel(model, {.preprocessing = Preprocessing{.crop = 5000}}); });
  Session session(loaded);
  mnv2::test::error_message(ErrorCode::invalid_argument, [&] { session.classify({}); });
}

TEST_CASE("session: outputs that are not finite are an error, not probabilities") {
  const TempDir dir;
  const std::string path = (dir / "model.safetensors").string();
  auto file = mnv2::test::make_model_file(mnv2::test::tiny_architecture(kClasses), kPreprocessing);
  std::string& bias = file.tensor("head.bias").data;
  std::string& weights = file.tensor("classifier.weight").data;
  const float six = 6.0f, huge = 3e38f;
  for (std::size_t i = 0; i < bias.size(); i += sizeof(float)) std::memcpy(&bias[i], &six, sizeof six);
  for (std::size_t i = 0; i < weights.size(); i += sizeof(float))
    std::memcpy(&weights[i], &huge, sizeof huge);
  mnv2::test::write_file(path, file.serialize());
  Session session{LoadedModel(Model::load(path))};
  const Pixels pixels(40, 40, 5);
  CHECK(mnv2::test::error_message(ErrorCode::invalid_model, [&] { session.classify(pixels.view()); }) ==
        "the network's outputs for this image are not finite numbers");
}
