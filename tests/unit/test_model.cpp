#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "mnv2/model.h"
#include "model/file/model_memory.h"
#include "support/catch.h"
#include "support/expect_error.h"
#include "support/model_builder.h"

using namespace mnv2::test;  // NOLINT: every name of the builder is used here
using mnv2::Architecture;
using mnv2::Clamp;
using mnv2::ErrorCode;
using mnv2::Layer;
using mnv2::LayerKind;
using mnv2::Model;
using mnv2::Preprocessing;

namespace {

constexpr int kClasses = 4;

ModelFile small_file() {
  return make_model_file(tiny_architecture(kClasses), {.resize = 20, .crop = 16}, numbered_labels(kClasses));
}

/// Loads `bytes` through a file; throws what Model::load throws.
Model load(const TempDir& dir, const std::string& bytes) {
  write_file(dir / "model.safetensors", bytes);
  return Model::load(dir / "model.safetensors");
}

/// Why a file of these bytes is refused, without the path, with which the message must start.
std::string refusal(const TempDir& dir, const std::string& bytes) {
  const std::string message = error_message(ErrorCode::invalid_model, [&] { load(dir, bytes); });
  const std::string prefix = (dir / "model.safetensors").string() + ": ";
  REQUIRE(message.starts_with(prefix));
  return message.substr(prefix.size());
}

/// Why a good file is refused after `change`.
std::string refusal_after(const std::function<void(ModelFile&)>& change) {
  const TempDir dir;
  ModelFile file = small_file();
  change(file);
  return refusal(dir, file.serialize());
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

/// Why a good file is refused when the text `from`, at its first place in metadata `key`, is `to` instead.
std::string metadata_refusal(const std::string& key, const std::string& from, const std::string& to) {
  INFO(from << " -> " << to);
  return refusal_after(
      [&](ModelFile& file) { file.metadata[key] = replaced(file.metadata.at(key), from, to); });
}

/// Why an architecture that breaks a rule is refused.
std::string architecture_refusal(const std::function<void(Architecture&)>& change) {
  return refusal_after([&](ModelFile& file) {
    Architecture architecture = tiny_architecture(kClasses);
    change(architecture);
    file.metadata["architecture"] = architecture_json(architecture);
  });
}

std::string raw(std::span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

}  // namespace

TEST_CASE("a model loads with every field and every weight of its file") {
  const TempDir dir;
  Architecture architecture = tiny_architecture(kClasses);
  architecture.name = "caf\xc3\xa9 \"\\";
  architecture.stem.stride = 1;
  architecture.stem.clamp = {};
  architecture.blocks[1].project.clamp = {0, std::numeric_limits<float>::infinity()};
  architecture.blocks[2].residual = false;  // allowed where it would fit
  architecture.head->clamp = {-1.5f, 2.25f};
  architecture.padding = mnv2::Padding::same;
  const Preprocessing preprocessing{.resize = 300,
                                    .crop = 299,
                                    .mean = {0.5f, -0.1f, 1e-3f},
                                    .std = {0.1f, 1.0f, 255.0f},
                                    .interpolation = mnv2::Interpolation::bicubic};
  const std::vector<std::string> labels{"tench, Tinca tinca", "", "\xe9\x87\x91\xe9\xad\x9a", "tab\tquote\""};
  ModelFile file = make_model_file(architecture, preprocessing, labels, 7);
  file.metadata["source"] = "somewhere";
  file.metadata["source_sha256"] = "ab";
  const std::string bytes = file.serialize();

  const Model model = load(dir, bytes);
  CHECK(model.architecture() == architecture);
  CHECK(model.preprocessing() == preprocessing);
  CHECK(model.labels() == labels);
  CHECK(model.source() == "somewhere");
  CHECK(model.path() == dir / "model.safetensors");
  CHECK(model.file_bytes() == bytes.size());

  const std::vector<const Layer*> layers = model.architecture().layers();
  REQUIRE(2 * layers.size() == file.tensors.size());
  for (const Layer* layer : layers) {
    INFO(layer->name);
    CHECK(raw(model.weight(*layer)) == file.tensor(layer->name + ".weight").data);
    CHECK(raw(model.bias(*layer)) == file.tensor(layer->name + ".bias").data);
  }
}

TEST_CASE("layers come in the order of execution under the names of the file") {
  const Architecture architecture = tiny_architecture(kClasses);
  std::vector<std::string> names;
  for (const Layer* layer : architecture.layers()) names.push_back(layer->name);
  CHECK(names == std::vector<std::string>{"stem", "blocks.0.depthwise", "blocks.0.project", "blocks.1.expand",
                                          "blocks.1.depthwise", "blocks.1.project", "blocks.2.expand",
                                          "blocks.2.depthwise", "blocks.2.project", "head", "classifier"});
  CHECK(architecture.num_classes() == kClasses);
  CHECK(architecture.embedding_size() == 20);
  CHECK(layer_kind_name(LayerKind::conv) == "conv");
  CHECK(layer_kind_name(LayerKind::depthwise) == "depthwise");
  CHECK(layer_kind_name(LayerKind::pointwise) == "pointwise");
  CHECK(layer_kind_name(LayerKind::linear) == "linear");
}

TEST_CASE("a file of version 1, which knew one padding and one interpolation, loads") {
  const TempDir dir;
  ModelFile file = small_file();
  file.metadata["format_version"] = "1";
  file.metadata["architecture"] =
      replaced(replaced(file.metadata["architecture"], R"("padding":"symmetric",)", ""),
               R"(,"output_activation":"softmax")", "");
  file.metadata["preprocessing"] = replaced(file.metadata["preprocessing"], R"(,"form":"crop")", "");
  const Model model = load(dir, file.serialize());
  CHECK(model.architecture() == tiny_architecture(kClasses));
  CHECK(model.preprocessing() == Preprocessing{.resize = 20, .crop = 16});
}

TEST_CASE("a file of version 2, which knew one form of preprocessing and one output activation, loads") {
  const TempDir dir;
  ModelFile file = small_file();
  file.metadata["format_version"] = "2";
  file.metadata["architecture"] =
      replaced(file.metadata["architecture"], R"(,"output_activation":"softmax")", "");
  file.metadata["preprocessing"] = replaced(file.metadata["preprocessing"], R"(,"form":"crop")", "");
  CHECK(load(dir, file.serialize()).preprocessing() == Preprocessing{.resize = 20, .crop = 16});
}

TEST_CASE("a file of version 4 may hold bfloat16 weights and the means of inputs") {
  const TempDir dir;
  ModelFile file = small_file();
  file.metadata["format_version"] = "4";
  const Architecture architecture = tiny_architecture(kClasses);
  std::vector<FileTensor> means;
  for (const Layer* layer : architecture.layers()) {
    if (layer->kind == LayerKind::depthwise) continue;
    FileTensor& weight = file.tensor(layer->name + ".weight");
    weight.dtype = "BF16";
    std::string upper;  // of each float32: little-endian
    for (std::size_t i = 0; i < weight.data.size(); i += 4) upper += weight.data.substr(i + 2, 2);
    weight.data = upper;
    std::vector<float> mean(layer->in_c);
    for (int c = 0; c < layer->in_c; ++c) mean[c] = 0.5f * static_cast<float>(c) - 1;
    means.push_back({layer->name + ".input_mean", "F32", {layer->in_c}, raw(mean)});
  }
  // Each stands at a multiple of its own size: those of two bytes after those of four.
  std::stable_partition(file.tensors.begin(), file.tensors.end(),
                        [](const FileTensor& tensor) { return tensor.dtype == "F32"; });
  const ModelFile without_means = file;
  file.tensors.insert(file.tensors.begin(), means.begin(), means.end());
  const Model model = load(dir, file.serialize());
  const Model original = load(dir, small_file().serialize());
  for (const Layer* layer : model.architecture().layers()) {
    INFO(layer->name);
    const bool depthwise = layer->kind == LayerKind::depthwise;
    const std::span<const float> found = model.weight(*layer), expected = original.weight(*layer);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const auto bits = std::bit_cast<std::uint32_t>(expected[i]);
      REQUIRE(std::bit_cast<std::uint32_t>(found[i]) == (depthwise ? bits : bits & 0xffff0000));
    }
    CHECK(model.input_mean(*layer).size() == (depthwise ? 0 : std::size_t(layer->in_c)));
    if (!depthwise) CHECK(model.input_mean(*layer).back() == 0.5f * static_cast<float>(layer->in_c - 1) - 1);
  }

  const auto refusal = [&](const auto& change) {
    return refusal_after([&](ModelFile& changed) {
      changed = file;
      change(changed);
    });
  };
  CHECK(refusal([](ModelFile& f) { f.tensors.erase(f.tensors.begin() + 7); }) ==
        "classifier.input_mean: missing tensor, expected F32 [20]");
  CHECK(refusal([](ModelFile& f) { f.tensor("stem.input_mean").name = "blocks.0.depthwise.input_mean"; }) ==
        "tensor \"blocks.0.depthwise.input_mean\": belongs to no layer of the architecture");
  CHECK(refusal([](ModelFile& f) {
          f.tensor("head.input_mean").shape = {1, f.tensor("head.input_mean").shape[0]};
        }).starts_with("head.input_mean: shape [1, "));
  CHECK(refusal([&](ModelFile& f) { f.tensor("head.weight") = small_file().tensor("head.weight"); }) ==
        "head.weight: type F32, expected BF16");
  CHECK(refusal([&](ModelFile& f) { f.tensor("stem.weight") = small_file().tensor("stem.weight"); }) ==
        "blocks.0.project.weight: type BF16, expected F32");
  CHECK(refusal([](ModelFile& f) { f.tensor("head.weight").data.replace(6, 2, "\x80\x7f"); }) ==
        "head.weight: element 3 is inf, expected finite values");
  const Model plain = load(dir, without_means.serialize());
  CHECK(plain.input_mean(plain.architecture().stem).empty());
}

TEST_CASE("every form and interpolation is read by its name") {
  const TempDir dir;
  for (const mnv2::ResizeForm form : mnv2::kResizeForms) {
    CHECK(mnv2::parse_resize_form(resize_form_name(form)) == form);
    for (const mnv2::Interpolation interpolation : mnv2::kInterpolations) {
      CHECK(mnv2::parse_interpolation(interpolation_name(interpolation)) == interpolation);
      const Preprocessing preprocessing{
          .resize = 16, .crop = 16, .interpolation = interpolation, .form = form};
      const auto read = [&] {
        return load(dir, make_model_file(tiny_architecture(kClasses), preprocessing).serialize())
            .preprocessing();
      };
      if (gives_bytes(form) || interpolation == mnv2::Interpolation::bilinear)
        CHECK(read() == preprocessing);
      else
        CHECK_THROWS_AS(read(), mnv2::Error);
    }
  }
}

TEST_CASE("a network may have no head and no classifier") {
  const TempDir dir;
  const Architecture separable = make_separable_architecture(8, {{1, 12, 2}, {1, 20, 1}}, kClasses);
  CHECK(!separable.head);
  CHECK(load(dir, serialize_model(separable)).architecture() == separable);
  CHECK(separable.embedding_size() == 20);
  CHECK(separable.num_classes() == kClasses);
  CHECK(separable.layers().back()->name == "classifier");

  Architecture features = tiny_architecture(kClasses);
  features.dense.clear();
  CHECK(load(dir, serialize_model(features)).architecture() == features);
  CHECK(features.embedding_size() == 20);
  CHECK(features.num_classes() == 0);
  CHECK(features.layers().back()->name == "head");

  features.head.reset();
  CHECK(load(dir, serialize_model(features)).architecture() == features);
  CHECK(features.embedding_size() == 9);
  CHECK(features.layers().back()->name == "blocks.2.project");

  // What the architecture does not have, the file must not have.
  CHECK(refusal(dir, serialize_model(features, {}, {"a label"})) ==
        "labels: found, expected none for a network without classifier");
  ModelFile file = make_model_file(features);
  file.tensors.push_back({"head.bias", "F32", {1}, std::string(4, '\0')});
  CHECK(refusal(dir, file.serialize()) == "tensor \"head.bias\": belongs to no layer of the architecture");
  CHECK(architecture_refusal([](Architecture& a) { a.head.reset(); }) ==
        "classifier: 20 input channels, expected 9 (the output of blocks.2.project)");
}

TEST_CASE("MobileNetV2 1.0 has its published parameters, and tensors may come in any order") {
  const TempDir dir;
  ModelFile file = make_model_file(mnv2::test::mobilenet_v2_architecture());
  std::swap(file.tensors.front(), file.tensors.back());
  const Model model = load(dir, file.serialize());
  std::size_t parameters = 0;
  for (const Layer* layer : model.architecture().layers()) {
    parameters += model.weight(*layer).size() + model.bias(*layer).size();
    CHECK(raw(model.weight(*layer)) == file.tensor(layer->name + ".weight").data);
  }
  // 3,504,872 in PyTorch, where BatchNorm has two parameters a channel, of which folding leaves the bias.
  CHECK(parameters == 3504872 - 17056);
  CHECK(model.labels().empty());
}

TEST_CASE("copies of a model share the mapping, which outlives the file's name") {
  const TempDir dir;
  const ModelFile file = small_file();
  const Model copy = [&] {
    const Model model = load(dir, file.serialize());
    return Model(model);
  }();
  std::filesystem::remove(dir / "model.safetensors");
  CHECK(raw(copy.weight(copy.architecture().stem)) == file.tensors.front().data);

  Layer stranger = copy.architecture().stem;
  stranger.name = "trunk";
  const std::string where = (dir / "model.safetensors").string();
  CHECK(error_message(ErrorCode::invalid_argument, [&] { copy.weight(stranger); }) ==
        where + ": no layer \"trunk\"");
  CHECK(error_message(ErrorCode::invalid_argument, [&] { copy.bias(stranger); }) ==
        where + ": no layer \"trunk\"");
  CHECK(error_message(ErrorCode::invalid_argument, [&] { mnv2::ModelMemory::release(copy, stranger); }) ==
        where + ": no layer \"trunk\"");
}

TEST_CASE("a missing file keeps the error of the file system") {
  const TempDir dir;
  const auto path = dir / "absent.safetensors";
  CHECK(error_message(ErrorCode::file_not_found, [&] { Model::load(path); }) ==
        path.string() + ": No such file or directory");
  CHECK(error_message(ErrorCode::file_unreadable, [&] { Model::load(dir.path()); }) ==
        dir.path().string() + ": a directory, expected a regular file");
}

TEST_CASE("a file cut short anywhere is refused") {
  const TempDir dir;
  const std::string bytes = small_file().serialize();
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  const std::size_t data_start = 8 + header_bytes;
  REQUIRE(data_start + 4000 < bytes.size());
  for (std::size_t size = 1; size < bytes.size(); size += size <= data_start + 8 ? 1 : 37) {
    INFO("first " << size << " of " << bytes.size() << " bytes");
    CHECK(!refusal(dir, bytes.substr(0, size)).empty());
  }
  CHECK(!refusal(dir, bytes.substr(0, bytes.size() - 1)).empty());
  CHECK(!refusal(dir, bytes + '\0').empty());
}

TEST_CASE("a file with any one byte changed loads or is refused") {
  const TempDir dir;
  const std::string bytes = small_file().serialize();
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  std::mt19937 random(20);
  int loaded = 0;
  int refused = 0;
  for (int round = 0; round < 6000; ++round) {
    std::string changed = bytes;
    // Two of three in the header, where nearly all of the decisions are.
    const std::size_t range = round % 3 == 0 ? bytes.size() : 8 + header_bytes;
    changed[random() % range] = static_cast<char>(random());
    try {
      const Model model = load(dir, changed);
      float sum = 0;
      for (const Layer* layer : model.architecture().layers()) {
        for (const float value : model.weight(*layer)) sum += value;
        for (const float value : model.bias(*layer)) sum += value;
      }
      loaded += sum == sum;
    } catch (const mnv2::Error& e) {
      refused += e.code() == ErrorCode::invalid_model;
    }
  }
  CHECK(loaded + refused == 6000);
  CHECK(loaded > 500);
  CHECK(refused > 500);
}

TEST_CASE("a file of another format or version is refused with what is understood") {
  const std::string hint =
      ", expected \"mnv2-classify\" (make a model file with scripts/convert_torchvision.py)";
  CHECK(refusal_after([](ModelFile& file) { file.metadata.clear(); }) ==
        "__metadata__: no \"format\"" + hint);
  CHECK(refusal_after([](ModelFile& file) { file.metadata.insert_or_assign("format", "pt"); }) ==
        "__metadata__: \"format\" is \"pt\"" + hint);
  CHECK(refusal_after([](ModelFile& file) { file.metadata.insert_or_assign("format_version", "5"); }) ==
        "__metadata__: \"format_version\" is \"5\", this program understands \"1\" to \"4\"");
  for (const std::string key : {"format_version", "architecture", "preprocessing", "source"}) {
    CHECK(refusal_after([&](ModelFile& file) { file.metadata.erase(key); }) ==
          "__metadata__: missing key \"" + key + "\"");
  }
}

TEST_CASE("tensors that do not fit the architecture are refused") {
  CHECK(refusal_after([](ModelFile& file) { file.tensors.pop_back(); }) ==
        "classifier.bias: missing tensor, expected F32 [4]");
  CHECK(refusal_after([](ModelFile& file) { file.tensor("blocks.1.expand.weight").name = "else"; }) ==
        "blocks.1.expand.weight: missing tensor, expected F32 [15, 5, 1, 1]");
  for (const std::string name :
       {"extra", "stem", "stem.scale", "trunk.weight", "blocks.0.expand.weight", ""}) {
    CHECK(refusal_after([&](ModelFile& file) {
            file.tensors.push_back({name, "F32", {0}, ""});
          }) == "tensor \"" + name + "\": belongs to no layer of the architecture");
  }

  CHECK(refusal_after([](ModelFile& file) {
          file.tensor("stem.weight").shape = {8, 3, 9};
        }) == "stem.weight: shape [8, 3, 9], expected [8, 3, 3, 3]");
  CHECK(refusal_after([](ModelFile& file) {
          file.tensor("stem.weight").shape = {3, 8, 3, 3};
        }) == "stem.weight: shape [3, 8, 3, 3], expected [8, 3, 3, 3]");
  CHECK(refusal_after([](ModelFile& file) {
          file.tensor("blocks.1.depthwise.weight").shape = {1, 15, 3, 3};
        }) == "blocks.1.depthwise.weight: shape [1, 15, 3, 3], expected [15, 1, 3, 3]");
  CHECK(refusal_after([](ModelFile& file) {
          file.tensor("classifier.weight").shape = {4, 20, 1, 1};
        }) == "classifier.weight: shape [4, 20, 1, 1], expected [4, 20]");
  CHECK(refusal_after([](ModelFile& file) {
          file.tensor("head.bias").shape = {20, 1};
        }) == "head.bias: shape [20, 1], expected [20]");
}

TEST_CASE("tensors of another type are refused") {
  CHECK(refusal_after([](ModelFile& file) { file.tensor("stem.weight").dtype = "I32"; }) ==
        "stem.weight: type I32, expected F32");
  CHECK(refusal_after([](ModelFile& file) {
          FileTensor& tensor = file.tensor("stem.weight");
          tensor.dtype = "F16";
          tensor.data.resize(tensor.data.size() / 2);
        }) == "stem.weight: type F16, expected F32");
  CHECK(refusal_after([](ModelFile& file) {
          FileTensor& tensor = file.tensor("stem.weight");
          tensor.dtype = "I64";
          tensor.data += tensor.data;
        }) == "stem.weight: type I64, expected F32");
}

TEST_CASE("values that are not finite are refused with their place") {
  const auto refusal_with = [](const std::string& tensor, std::size_t index, float value) {
    return refusal_after([&](ModelFile& file) {
      std::memcpy(file.tensor(tensor).data.data() + index * sizeof(float), &value, sizeof(float));
    });
  };
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const std::size_t index : {0, 1, 17, 215}) {
    const std::string where = "stem.weight: element " + std::to_string(index) + " is ";
    CHECK(refusal_with("stem.weight", index, kNan) == where + "NaN, expected finite values");
    CHECK(refusal_with("stem.weight", index, kInf) == where + "inf, expected finite values");
    CHECK(refusal_with("stem.weight", index, -kInf) == where + "-inf, expected finite values");
  }
  CHECK(refusal_with("classifier.bias", 3, kNan) ==
        "classifier.bias: element 3 is NaN, expected finite values");
  CHECK(refusal_after([](ModelFile& file) {
          for (FileTensor& tensor : file.tensors) tensor.data.assign(tensor.data.size(), '\xff');
        }) == "stem.weight: element 0 is NaN, expected finite values");

  // The largest floats and the smallest are good values.
  const TempDir dir;
  ModelFile file = small_file();
  const float extremes[] = {std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest(),
                            std::numeric_limits<float>::denorm_min(), -0.0f};
  std::memcpy(file.tensor("classifier.bias").data.data(), extremes, sizeof(extremes));
  CHECK_NOTHROW(load(dir, file.serialize()));
}

TEST_CASE("a bad value is found wherever it is in a large tensor") {
  const TempDir dir;
  ModelFile file = make_model_file(make_architecture(8, {{1, 8, 1}}, 1000, 20));
  std::string& data = file.tensor("classifier.weight").data;
  for (const std::size_t index : {4095, 4096, 12287, 19999}) {
    const std::string good = data;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(data.data() + index * sizeof(float), &nan, sizeof(float));
    CHECK(refusal(dir, file.serialize()) ==
          "classifier.weight: element " + std::to_string(index) + " is NaN, expected finite values");
    data = good;
  }
}

TEST_CASE("an architecture whose channels do not chain is refused") {
  CHECK(architecture_refusal([](Architecture& a) { a.stem.in_c = 1; }) ==
        "stem: 1 input channels, expected 3 (an RGB image)");
  CHECK(architecture_refusal([](Architecture& a) { a.blocks[0].depthwise.in_c = 9; }) ==
        "blocks.0.depthwise: 9 input channels, expected 8 (the output of stem)");
  CHECK(architecture_refusal([](Architecture& a) { a.blocks[2].expand->in_c = 24; }) ==
        "blocks.2.expand: 24 input channels, expected 9 (the output of blocks.1.project)");
  CHECK(architecture_refusal([](Architecture& a) { a.blocks[1].depthwise.out_c = 16; }) ==
        "blocks.1.depthwise: 16 output channels, expected 15 (as many as input channels)");
  CHECK(architecture_refusal([](Architecture& a) { a.blocks[1].project.in_c = 16; }) ==
        "blocks.1.project: 16 input channels, expected 15 (the output of blocks.1.depthwise)");
  CHECK(architecture_refusal([](Architecture& a) { a.head->in_c = 8; }) ==
        "head: 8 input channels, expected 9 (the output of blocks.2.project)");
  CHECK(architecture_refusal([](Architecture& a) { a.dense[0].in_c = 21; }) ==
        "classifier: 21 input channels, expected 20 (the output of head)");
  CHECK(architecture_refusal([](Architecture& a) { a.blocks[1].residual = true; }) ==
        "blocks.1: residual with stride 2, expected stride 1");
  CHECK(architecture_refusal([](Architecture& a) { a.blocks[0].residual = true; }) ==
        "blocks.0: residual with 8 input and 5 output channels, expected as many");
}

TEST_CASE("layers in the wrong place or out of range are refused") {
  CHECK(architecture_refusal([](Architecture& a) { a.stem.kind = LayerKind::pointwise; }) ==
        "stem: \"kind\" is \"pointwise\", expected \"conv\"");
  CHECK(architecture_refusal([](Architecture& a) { a.blocks[1].depthwise.kind = LayerKind::conv; }) ==
        "blocks.1.depthwise: \"kind\" is \"conv\", expected \"depthwise\"");
  CHECK(architecture_refusal([](Architecture& a) { a.dense[0].kind = LayerKind::pointwise; }) ==
        "classifier: \"kind\" is \"pointwise\", expected \"linear\"");
  CHECK(architecture_refusal([](Architecture& a) { a.stem.kernel = 5; }) ==
        "stem: \"kernel\" is 5, expected 3");
  CHECK(architecture_refusal([](Architecture& a) { a.blocks[1].expand->kernel = 3; }) ==
        "blocks.1.expand: \"kernel\" is 3, expected 1");
  CHECK(architecture_refusal([](Architecture& a) { a.blocks[1].depthwise.kernel = 5; }) ==
        "blocks.1.depthwise: \"kernel\" is 5, expected 3");
  CHECK(architecture_refusal([](Architecture& a) { a.stem.stride = 3; }) ==
        "stem: \"stride\" is 3, expected an integer from 1 to 2");
  CHECK(architecture_refusal([](Architecture& a) { a.blocks[1].depthwise.stride = 0; }) ==
        "blocks.1.depthwise: \"stride\" is 0, expected an integer from 1 to 2");
  CHECK(architecture_refusal([](Architecture& a) { a.blocks[1].project.stride = 2; }) ==
        "blocks.1.project: \"stride\" is 2, expected 1");
  for (const int channels :
       {0, -1, 65537, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()}) {
    CHECK(architecture_refusal([&](Architecture& a) { a.stem.out_c = channels; }) ==
          "stem: \"out_channels\" is " + std::to_string(channels) + ", expected an integer from 1 to 65536");
    CHECK(architecture_refusal([&](Architecture& a) { a.dense[0].in_c = channels; }) ==
          "classifier: \"in_channels\" is " + std::to_string(channels) +
              ", expected an integer from 1 to 65536");
  }
  CHECK(architecture_refusal([](Architecture& a) { a.blocks.clear(); }) ==
        "architecture: \"blocks\" is an array of 0, expected 1 to 1024 blocks");
  CHECK(architecture_refusal([](Architecture& a) { a.blocks.resize(1025, a.blocks[0]); }) ==
        "architecture: \"blocks\" is an array of 1025, expected 1 to 1024 blocks");
}

TEST_CASE("the largest number of blocks loads") {
  const TempDir dir;
  const std::string bytes =
      serialize_model(make_architecture(1, std::vector<BlockSpec>(1024, {1, 1, 1}), 1, 1));
  const Model model = load(dir, bytes);
  CHECK(model.architecture().blocks.size() == 1024);
  CHECK(model.architecture().blocks.back().project.name == "blocks.1023.project");
}

TEST_CASE("texts of the architecture that are not as described are refused") {
  const auto refused = [](const std::string& from, const std::string& to) {
    return metadata_refusal("architecture", from, to);
  };
  CHECK(refused("{\"name\"", "nope") == "architecture: not valid JSON at byte 2");
  CHECK(refused("\"name\":\"mobilenet_v2\",", "") == "architecture: missing key \"name\"");
  CHECK(refused("\"mobilenet_v2\"", "2") == "architecture: \"name\" is 2, expected a string");
  CHECK(refused("\"symmetric\"", "\"valid\"") ==
        "architecture: \"padding\" is \"valid\", expected \"symmetric\" or \"same\"");
  CHECK(refused("\"symmetric\"", "null") == "architecture: \"padding\" is null, expected a string");
  CHECK(refused("\"head\":{", "\"tail\":{") == "architecture: missing key \"head\"");
  CHECK(refused("\"classifier\":{", "\"classifier\":0,\"x\":{") == "architecture: unknown key \"x\"");
  CHECK(refused("\"stem\":", "\"pooling\":\"max\",\"stem\":") == "architecture: unknown key \"pooling\"");
  CHECK(refused("\"kernel\":3", "\"kernel\":3,\"dilation\":2") == "stem: unknown key \"dilation\"");
  CHECK(refused("\"kernel\":3", "\"kernel\":3,\"kernel\":3") == "architecture: duplicate key \"kernel\"");
  CHECK(refused("\"kernel\":3,", "") == "stem: missing key \"kernel\"");
  CHECK(refused("\"kernel\":3", "\"kernel\":3.0") == "stem: \"kernel\" is 3.0, expected 3");
  CHECK(refused("\"kernel\":3", "\"kernel\":4294967299") == "stem: \"kernel\" is 4294967299, expected 3");
  CHECK(refused("\"kernel\":3", "\"kernel\":18446744073709551619") ==
        "stem: \"kernel\" is 1.8446744073709552e+19, expected 3");
  CHECK(refused("\"kind\":\"conv\"", "\"kind\":\"swish\"") ==
        "stem: \"kind\" is \"swish\", expected \"conv\"");
  CHECK(refused("\"kind\":\"conv\"", "\"kind\":null") == "stem: \"kind\" is null, expected a string");
  CHECK(refused("\"residual\":false", "\"residual\":0") ==
        "blocks.0: \"residual\" is 0, expected true or false");
  CHECK(refused("\"expand\":null,", "") == "blocks.0: missing key \"expand\"");
  CHECK(refused("\"expand\":null", "\"expand\":false") == "blocks.0.expand: false, expected an object");
  CHECK(refused("\"expand\":null", "\"se\":null,\"expand\":null") == "blocks.0: unknown key \"se\"");
  CHECK(refusal_after([](ModelFile& file) { file.metadata["architecture"] = std::string(1000000, '['); }) ==
        "architecture: JSON nested deeper than 16");
  CHECK(refusal_after([](ModelFile& file) { file.metadata["architecture"] = "[]"; }) ==
        "architecture: an array of 0, expected an object");
}

TEST_CASE("clamps are two bounds or none") {
  const auto refused = [](const std::string& clamp) {
    return metadata_refusal("architecture", "\"clamp\":[0.0,6.0]", "\"clamp\":" + clamp);
  };
  CHECK(refused("[0]") == "stem: \"clamp\" is an array of 1, expected [min, max] or null");
  CHECK(refused("[0, 6, 9]") == "stem: \"clamp\" is an array of 3, expected [min, max] or null");
  CHECK(refused("6") == "stem: \"clamp\" is 6, expected [min, max] or null");
  CHECK(refused("\"relu6\"") == "stem: \"clamp\" is \"relu6\", expected [min, max] or null");
  CHECK(refused("[6, 0]") == "stem: \"clamp\" is [6, 0], expected min <= max");
  CHECK(refused("[0, \"6\"]") == "stem: \"clamp\" holds \"6\", expected numbers within float32 or null");
  CHECK(refused("[-1e39, 6]") == "stem: \"clamp\" holds -1e+39, expected numbers within float32 or null");
  CHECK(refused("[0, 1e999]") == "architecture: not valid JSON: a number out of range");
  CHECK(refused("[0, NaN]").starts_with("architecture: not valid JSON at byte "));

  constexpr float kInf = std::numeric_limits<float>::infinity();
  const auto read = [](const std::string& clamp) {
    const TempDir dir;
    ModelFile file = small_file();
    file.metadata["architecture"] =
        replaced(file.metadata["architecture"], "\"clamp\":[0.0,6.0]", "\"clamp\":" + clamp);
    return load(dir, file.serialize()).architecture().stem.clamp;
  };
  CHECK(read("[0, 6]") == Clamp{0, 6});
  CHECK(read("[0, null]") == Clamp{0, kInf});
  CHECK(read("[null, 6]") == Clamp{-kInf, 6});
  CHECK(read("[null, null]") == Clamp{});
  CHECK(read("[2, 2]") == Clamp{2, 2});
}

TEST_CASE("preprocessing that cannot be done is refused") {
  const auto refused = [](const std::string& from, const std::string& to) {
    return metadata_refusal("preprocessing", from, to);
  };
  const auto range = [](const std::string& what) {
    return "preprocessing: " + what + ", expected an integer from 1 to 16384";
  };
  CHECK(refused("\"resize\":20", "\"resize\":0") == range("\"resize\" is 0"));
  CHECK(refused("\"resize\":20", "\"resize\":16385") == range("\"resize\" is 16385"));
  CHECK(refused("\"crop\":16", "\"crop\":-16") == range("\"crop\" is -16"));
  CHECK(refused("\"crop\":16", "\"crop\":99999999999999999999") == range("\"crop\" is 1e+20"));
  CHECK(refused("\"crop\":16", "\"crop\":[16, 16]") == range("\"crop\" is an array of 2"));
  CHECK(refused("\"crop\":16,", "") == "preprocessing: missing key \"crop\"");
  CHECK(refused("\"crop\"", "\"gamma\":2,\"crop\"") == "preprocessing: unknown key \"gamma\"");
  CHECK(refused("bilinear", "area") ==
        "preprocessing: \"interpolation\" is \"area\", expected \"bilinear\", \"bicubic\", \"lanczos\" or "
        "\"nearest\"");
  CHECK(refused("\"form\":\"crop\"", "\"form\":\"crop_floor\"") ==
        "preprocessing: \"form\" is \"crop_floor\", expected \"crop\", \"crop-floor\", \"fit\", \"squash\", "
        "\"squash-half-pixel\" or \"squash-align-corners\"");
  CHECK(refused("\"form\":\"crop\"", "\"form\":null") ==
        "preprocessing: \"form\" is null, expected a string");
  CHECK(refused("\"form\":\"crop\"", "\"form\":\"fit\"") ==
        "preprocessing: \"resize\" is 20, expected the crop's 16 for the form \"fit\"");
  CHECK(refused("\"bilinear\"", "3") == "preprocessing: \"interpolation\" is 3, expected a string");
  CHECK(refused("\"mean\":[", "\"mean\":[0,") ==
        "preprocessing: \"mean\" is an array of 4, expected an array of 3 (red, green, blue)");
  CHECK(refused("\"mean\":[0.48500001430511475", "\"mean\":[1e39") ==
        "preprocessing: \"mean\" holds 1e+39, expected numbers within float32");
  CHECK(refused("\"mean\":[0.48500001430511475", "\"mean\":[null") ==
        "preprocessing: \"mean\" holds null, expected numbers within float32");
  for (const std::string bad : {"0", "-0.5", "1e-60", "true"}) {
    CHECK(refused("0.2290000021457672", bad) ==
          "preprocessing: \"std\" holds " + bad + ", expected positive numbers within float32");
  }
}

TEST_CASE("labels that do not match the classes are refused") {
  const auto refused = [](const std::string& labels) {
    return refusal_after([&](ModelFile& file) { file.metadata["labels"] = labels; });
  };
  const std::string four = ", expected 4 (the classes of the classifier)";
  CHECK(refused(labels_json(numbered_labels(3))) == "labels: 3 labels" + four);
  CHECK(refused(labels_json(numbered_labels(5))) == "labels: 5 labels" + four);
  CHECK(refused("[]") == "labels: 0 labels" + four);
  CHECK(refused("{\"0\": \"a\"}") == "labels: an object, expected an array");
  CHECK(refused("[\"a\", \"b\", \"c\", 4]") == "labels: 4, expected a string");
  CHECK(refused("[\"a\", \"b\", \"c\", \"\\ud800\"]") == "labels: not valid JSON at byte 24");
  CHECK(refused("a\nb\nc\nd\n") == "labels: not valid JSON at byte 1");
}
