// What a model file says of the layers after the pooling.
#include <string>
#include <vector>

#include "mnv2/error.h"
#include "mnv2/layer_shapes.h"
#include "mnv2/model.h"
#include "support/catch.h"
#include "support/model_builder.h"

using namespace mnv2;
using namespace mnv2::test;

namespace {

Model load(const TempDir& dir, const std::string& bytes) {
  write_file(dir / "model.safetensors", bytes);
  return Model::load(dir / "model.safetensors");
}

/// The message that the file is refused with, without its path.
std::string refusal(const ModelFile& file) {
  const TempDir dir;
  const std::string path = (dir / "model.safetensors").string();
  try {
    load(dir, file.serialize());
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::invalid_model);
    return std::string(e.what()).substr(path.size() + 2);
  }
  return "accepted";
}

/// A network with hidden layers.
Architecture deep() {
  Architecture architecture = tiny_architecture(4);
  set_dense(architecture, {{7, {0, 6}}, {5, {.min = 0}}, {4}});
  return architecture;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string refusal_with(const Architecture& architecture, const std::string& from, const std::string& to) {
  ModelFile file = make_model_file(architecture);
  file.metadata["architecture"] = replaced(file.metadata["architecture"], from, to);
  return refusal(file);
}

}  // namespace

TEST_CASE("any number of dense layers load in order, with their names") {
  const TempDir dir;
  const Architecture architecture = deep();
  const Model model = load(dir, serialize_model(architecture));
  CHECK(model.architecture() == architecture);
  CHECK(model.architecture().num_outputs() == 4);
  CHECK(model.architecture().embedding_size() == 20);
  const std::vector<const Layer*> layers = model.architecture().layers();
  REQUIRE(layers.size() > 3);
  for (int i = 0; i < 3; ++i) {
    const Layer& layer = *layers[layers.size() - 3 + i];
    CHECK(layer.name == "classifier." + std::to_string(i));
    CHECK(model.weight(layer).size() == std::size_t(layer.in_c) * layer.out_c);
    CHECK(model.bias(layer).size() == std::size_t(layer.out_c));
  }

  Architecture one = tiny_architecture(4);
  set_dense(one, {{4}});  // an array of one is not the same as a layer alone: its tensors have another name
  CHECK(load(dir, serialize_model(one)).architecture() == one);
  CHECK(one.layers().back()->name == "classifier.0");
  Architecture most = tiny_architecture(4);
  set_dense(most, std::vector<DenseSpec>(64, {3}));
  CHECK(load(dir, serialize_model(most)).architecture() == most);
}

TEST_CASE("dense layers are counted at one pixel") {
  const Architecture architecture = deep();
  const std::vector<LayerShape> shapes = layer_shapes(architecture, 33, 40);
  REQUIRE(shapes.size() == architecture.layers().size());
  const std::int64_t expected[] = {20 * 7, 7 * 5, 5 * 4};
  for (int i = 0; i < 3; ++i) {
    const LayerShape& shape = shapes[shapes.size() - 3 + i];
    CHECK((shape.in_h == 1 && shape.in_w == 1 && shape.out_h == 1 && shape.out_w == 1));
    CHECK(shape.multiply_adds == expected[i]);
    CHECK(shape.parameters == expected[i] + architecture.dense[i].out_c);
  }
}

TEST_CASE("every output activation loads, and softmax is what an older file means") {
  const TempDir dir;
  for (const OutputActivation activation :
       {OutputActivation::softmax, OutputActivation::sigmoid, OutputActivation::none}) {
    Architecture architecture = deep();
    architecture.output_activation = activation;
    CHECK(load(dir, serialize_model(architecture)).architecture() == architecture);
  }
  ModelFile file = make_model_file(deep());
  file.metadata["architecture"] =
      replaced(file.metadata["architecture"], R"(,"output_activation":"softmax")", "");
  CHECK(load(dir, file.serialize()).architecture() == deep());
}

TEST_CASE("one output with a sigmoid has two labels, with none one") {
  const TempDir dir;
  Architecture architecture = tiny_architecture(1);
  architecture.output_activation = OutputActivation::sigmoid;
  const std::vector<std::string> two{"not a cat", "cat"};
  CHECK(load(dir, serialize_model(architecture, {}, two)).labels() == two);
  CHECK(refusal(make_model_file(architecture, {}, {"cat"})) ==
        "labels: 1 labels, expected 2 (the classes of the classifier)");
  architecture.output_activation = OutputActivation::none;
  CHECK(load(dir, serialize_model(architecture, {}, {"cat"})).labels() == std::vector<std::string>{"cat"});
}

TEST_CASE("a softmax of one output, which says the same of every image, is refused") {
  Architecture architecture = tiny_architecture(1);
  architecture.output_activation = OutputActivation::softmax;
  const std::string message =
      "architecture: a softmax of 1 output, which is 1 for every image; expected \"output_activation\" "
      "\"sigmoid\" or "
      "\"none\" (convert it with --output-activation)";
  CHECK(refusal(make_model_file(architecture)) == message);
  CHECK(refusal_with(architecture, R"(,"output_activation":"softmax")", "") == message);
  set_dense(architecture, {{5}, {1}});
  architecture.output_activation = OutputActivation::softmax;
  CHECK(refusal(make_model_file(architecture)) == message);
}

TEST_CASE("classifiers that do not fit are refused by name") {
  CHECK(refusal_with(deep(), R"("output_activation":"softmax")", R"("output_activation":"relu")") ==
        "architecture: \"output_activation\" is \"relu\", expected \"softmax\", \"sigmoid\" or \"none\"");
  CHECK(refusal_with(deep(), R"("output_activation":"softmax")", R"("output_activation":null)") ==
        "architecture: \"output_activation\" is null, expected a string");
  Architecture none = tiny_architecture(4);
  none.dense.clear();
  CHECK(refusal_with(none, R"("classifier":null)", R"("classifier":3)") ==
        "classifier: 3, expected an object");
  CHECK(refusal_with(none, R"("classifier":null)", R"("classifier":[])") ==
        "architecture: \"classifier\" is an array of 0, expected null, a layer or an array of 1 to 64");
  CHECK(refusal_with(none, R"("classifier":null)", R"("classifier":null,"output_activation":"none")") ==
        "architecture: \"output_activation\" is \"none\", expected nothing, as there is no classifier");
  Architecture wrong = deep();
  wrong.dense[1].in_c = 8;
  CHECK(refusal(make_model_file(wrong)) ==
        "classifier.1: 8 input channels, expected 7 (the output of classifier.0)");
  wrong = deep();
  wrong.dense[0].in_c = 9;
  CHECK(refusal(make_model_file(wrong)) ==
        "classifier.0: 9 input channels, expected 20 (the output of head)");
  wrong = deep();
  set_dense(wrong, std::vector<DenseSpec>(65, {3}));
  CHECK(refusal(make_model_file(wrong)) ==
        "architecture: \"classifier\" is an array of 65, expected null, a layer or an array of 1 to 64");
  ModelFile file = make_model_file(deep());
  file.tensor("classifier.1.weight").name = "classifier.weight";
  CHECK(refusal(file) == "classifier.1.weight: missing tensor, expected F32 [5, 7]");
}
