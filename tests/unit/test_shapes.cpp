// What layers read, compute and write: MobileNetV2's published figures and layers worked out by hand.
#include <map>
#include <string>

#include "mnv2/error.h"
#include "mnv2/layer_shapes.h"
#include "mnv2/network.h"
#include "support/catch.h"
#include "support/model_builder.h"

using namespace mnv2;
using namespace mnv2::test;

namespace {

struct Totals {
  std::int64_t parameters = 0, multiply_adds = 0, weight_bytes = 0;
};

Totals totals(const Architecture& architecture, int h, int w) {
  Totals sum;
  for (const LayerShape& shape : layer_shapes(architecture, h, w)) {
    sum.parameters += shape.parameters;
    sum.multiply_adds += shape.multiply_adds;
    sum.weight_bytes += shape.weight_bytes;
  }
  return sum;
}

std::map<std::string, LayerShape> by_name(const Architecture& architecture, int h, int w) {
  const std::vector<LayerShape> shapes = layer_shapes(architecture, h, w);
  const std::vector<const Layer*> layers = architecture.layers();
  REQUIRE(shapes.size() == layers.size());
  std::map<std::string, LayerShape> result;
  for (std::size_t i = 0; i < layers.size(); ++i) result[layers[i]->name] = shapes[i];
  return result;
}

void check(const LayerShape& s, int in_h, int in_w, int out_h, int out_w) {
  CHECK(s.in_h == in_h);
  CHECK(s.in_w == in_w);
  CHECK(s.out_h == out_h);
  CHECK(s.out_w == out_w);
}

}  // namespace

TEST_CASE("MobileNetV2 1.0 at 224 x 224 has its published totals") {
  const Totals sum = totals(mobilenet_v2_architecture(), 224, 224);
  CHECK(sum.multiply_adds == 300'774'272);
  // torchvision counts 3,504,872: two parameters of BatchNorm for each of 17,056 channels; folded, one is
  // left.
  CHECK(sum.parameters == 3'504'872 - 17'056);
  CHECK(sum.weight_bytes == 4 * sum.parameters);
}

TEST_CASE("layers of MobileNetV2 worked out by hand") {
  const auto shapes = by_name(mobilenet_v2_architecture(), 224, 224);
  REQUIRE(shapes.size() == 53);

  const LayerShape& stem = shapes.at("stem");  // 3 -> 32, stride 2
  check(stem, 224, 224, 112, 112);
  CHECK(stem.parameters == 896);            // 32 * 27 + 32
  CHECK(stem.multiply_adds == 10'838'016);  // 112 * 112 * 32 * 27
  CHECK(stem.weight_bytes == 3'584);
  CHECK(stem.activation_bytes == 2'207'744);  // 4 * (224 * 224 * 3 + 112 * 112 * 32)

  const LayerShape& depthwise = shapes.at("blocks.1.depthwise");  // 96, stride 2
  check(depthwise, 112, 112, 56, 56);
  CHECK(depthwise.parameters == 960);              // 96 * 9 + 96
  CHECK(depthwise.multiply_adds == 2'709'504);     // 56 * 56 * 96 * 9
  CHECK(depthwise.activation_bytes == 6'021'120);  // 4 * 96 * (112 * 112 + 56 * 56)

  const LayerShape& project = shapes.at("blocks.2.project");  // 144 -> 24, plus the block's input
  check(project, 56, 56, 56, 56);
  CHECK(project.parameters == 3'480);            // 144 * 24 + 24
  CHECK(project.multiply_adds == 10'838'016);    // 56 * 56 * 144 * 24
  CHECK(project.activation_bytes == 2'408'448);  // 4 * 56 * 56 * (144 + 24 + 24)

  const LayerShape& head = shapes.at("head");  // 320 -> 1280
  check(head, 7, 7, 7, 7);
  CHECK(head.parameters == 410'880);
  CHECK(head.multiply_adds == 20'070'400);

  const LayerShape& classifier = shapes.at("classifier");  // 1280 -> 1000
  check(classifier, 1, 1, 1, 1);
  CHECK(classifier.parameters == 1'281'000);
  CHECK(classifier.multiply_adds == 1'280'000);
  CHECK(classifier.activation_bytes == 9'120);
}

TEST_CASE("odd and unequal sides round up at each stride") {
  const auto shapes = by_name(mobilenet_v2_architecture(), 225, 97);
  check(shapes.at("stem"), 225, 97, 113, 49);
  check(shapes.at("blocks.1.depthwise"), 113, 49, 57, 25);
  check(shapes.at("head"), 8, 4, 8, 4);
  const auto smallest = by_name(mobilenet_v2_architecture(), 1, 1);
  check(smallest.at("head"), 1, 1, 1, 1);
}

TEST_CASE("the engine's own count of multiply-adds is the same") {
  const TempDir dir;
  const auto path = dir.path() / "model.safetensors";
  write_file(path, serialize_model(tiny_architecture(7)));
  const Model model = Model::load(path);
  for (const int size : {32, 33, 96}) {
    const Network network(model, {.input_h = size, .input_w = size + 3});
    CHECK(totals(model.architecture(), size, size + 3).multiply_adds == network.multiply_adds());
  }
}

TEST_CASE("MobileNetV1 has its published totals at two widths and resolutions") {
  // Howard et al. 2017, Tables 6 and 7: 569 M and 4.2 M parameters; 149 M at half the width; 418 M at 192. To the unit
  // by the paper's formula: 9 * M * D^2 + M * N * D^2 for each block, the stem and the classifier.
  const Totals full = totals(mobilenet_v1_architecture(), 224, 224);
  CHECK(full.multiply_adds == 568'740'352);
  // The stem and 26 layers have 10,944 channels: BatchNorm has two parameters for each, folding leaves one.
  CHECK(full.parameters == 4'231'976 - 10'944);
  CHECK(totals(mobilenet_v1_architecture(0.5), 224, 224).multiply_adds == 149'497'088);
  CHECK(totals(mobilenet_v1_architecture(), 192, 192).multiply_adds == 418'121'728);
}

TEST_CASE("layers of networks without head, expansion or classifier") {
  Architecture architecture = make_separable_architecture(8, {{1, 16, 2}, {1, 24, 1}}, 10);
  const auto shapes = by_name(architecture, 32, 33);
  REQUIRE(shapes.size() == 6);
  check(shapes.at("stem"), 32, 33, 16, 17);
  check(shapes.at("blocks.0.depthwise"), 16, 17, 8, 9);
  check(shapes.at("blocks.1.project"), 8, 9, 8, 9);
  check(shapes.at("classifier"), 1, 1, 1, 1);
  CHECK(shapes.at("classifier").multiply_adds == 240);

  architecture.dense.clear();
  CHECK(by_name(architecture, 32, 33).size() == 5);
  architecture.padding = Padding::same;  // moves the windows, not the sizes
  check(by_name(architecture, 32, 33).at("blocks.1.project"), 8, 9, 8, 9);
}

TEST_CASE("an empty input has no shapes") {
  CHECK_THROWS_AS(layer_shapes(tiny_architecture(7), 0, 5), Error);
  CHECK_THROWS_AS(layer_shapes(tiny_architecture(7), 5, -1), Error);
}
