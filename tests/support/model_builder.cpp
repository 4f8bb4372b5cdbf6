#include "support/model_builder.h"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>

namespace mnv2::test {
namespace {

using Json = nlohmann::ordered_json;

constexpr Clamp kRelu6{0, 6};

Layer pointwise(std::string name, int in_c, int out_c, Clamp clamp) {
  return {
      .name = std::move(name), .kind = LayerKind::pointwise, .in_c = in_c, .out_c = out_c, .clamp = clamp};
}

Layer linear(int in_c, int out_c) {
  return {.name = "classifier", .kind = LayerKind::linear, .in_c = in_c, .out_c = out_c, .clamp = {}};
}

Json bound_json(float bound) { return std::isinf(bound) ? Json(nullptr) : Json(bound); }

Json layer_json(const Layer& layer) {
  const char* kinds[] = {"conv", "depthwise", "pointwise", "linear"};
  Json json = {{"kind", kinds[static_cast<int>(layer.kind)]},
               {"in_channels", layer.in_c},
               {"out_channels", layer.out_c},
               {"kernel", layer.kernel},
               {"stride", layer.stride},
               {"clamp", layer.clamp == Clamp{}
                             ? Json(nullptr)
                             : Json::array({bound_json(layer.clamp.min), bound_json(layer.clamp.max)})}};
  if (layer.source_parameters) json["source_parameters"] = *layer.source_parameters;
  return json;
}

/// One layer under the name that it has alone, or an array.
Json dense_json(const std::vector<Layer>& dense) {
  if (dense.empty()) return nullptr;
  if (dense.size() == 1 && dense.front().name == "classifier") return layer_json(dense.front());
  Json layers = Json::array();
  for (const Layer& layer : dense) layers.push_back(layer_json(layer));
  return layers;
}

Json optional_layer_json(const std::optional<Layer>& layer) {
  return layer ? layer_json(*layer) : Json(nullptr);
}

std::string random_floats(std::int64_t count, double deviation, std::mt19937& random) {
  // Uniform, and from the generator's bits: the standard's distributions differ between standard libraries.
  const double half_width = deviation * std::sqrt(3.0);
  std::string bytes(static_cast<std::size_t>(count) * sizeof(float), '\0');
  for (std::int64_t i = 0; i < count; ++i) {
    const double unit = static_cast<double>(random()) / 2147483648.0 - 1.0;  // in [-1, 1)
    const auto value = static_cast<float>(unit * half_width);
    std::memcpy(&bytes[static_cast<std::size_t>(i) * sizeof(float)], &value, sizeof(float));
  }
  return bytes;
}

std::vector<std::int64_t> weight_shape(const Layer& layer) {
  const int in_c = layer.kind == LayerKind::depthwise ? 1 : layer.in_c;
  if (layer.kind == LayerKind::linear) return {layer.out_c, in_c};
  return {layer.out_c, in_c, layer.kernel, layer.kernel};
}

void add_layer(const Layer& layer, std::mt19937& random, ModelFile& file) {
  const std::vector<std::int64_t> shape = weight_shape(layer);
  std::int64_t fan_in = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) fan_in *= shape[i];
  // He et al. 2015: a layer that halves its output with ReLU keeps the variance with 2 / fan_in.
  const double deviation = std::sqrt((layer.clamp.is_linear() ? 1.0 : 2.0) / static_cast<double>(fan_in));
  file.tensors.push_back(
      {layer.name + ".weight", "F32", shape, random_floats(shape[0] * fan_in, deviation, random)});
  file.tensors.push_back(
      {layer.name + ".bias", "F32", {layer.out_c}, random_floats(layer.out_c, 0.3, random)});
}

}  // namespace

Architecture make_architecture(int stem_c, const std::vector<BlockSpec>& blocks, int head_c, int classes) {
  Architecture architecture;
  architecture.name = "mobilenet_v2";
  architecture.stem = {"stem", LayerKind::conv, 3, stem_c, 3, 2, kRelu6};
  int in_c = stem_c;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const BlockSpec& spec = blocks[i];
    const std::string prefix = "blocks." + std::to_string(i) + ".";
    const int hidden = in_c * spec.expand;
    Block block;
    if (spec.expand != 1) block.expand = pointwise(prefix + "expand", in_c, hidden, kRelu6);
    block.depthwise = {prefix + "depthwise", LayerKind::depthwise, hidden, hidden, 3, spec.stride, kRelu6};
    block.project = pointwise(prefix + "project", hidden, spec.out_c, {});
    block.residual = spec.stride == 1 && in_c == spec.out_c;
    architecture.blocks.push_back(block);
    in_c = spec.out_c;
  }
  architecture.head = pointwise("head", in_c, head_c, kRelu6);
  architecture.dense = {linear(head_c, classes)};
  // A softmax of one number says nothing, and the reader refuses it.
  if (classes == 1) architecture.output_activation = OutputActivation::none;
  return architecture;
}

void set_dense(Architecture& architecture, const std::vector<DenseSpec>& layers) {
  architecture.dense.clear();
  int in_c = architecture.embedding_size();
  for (const DenseSpec& spec : layers) {
    Layer layer = linear(in_c, spec.out_c);
    layer.name += "." + std::to_string(architecture.dense.size());
    layer.clamp = spec.clamp;
    architecture.dense.push_back(layer);
    in_c = spec.out_c;
  }
  if (in_c == 1) architecture.output_activation = OutputActivation::none;
}

Architecture make_separable_architecture(int stem_c, const std::vector<BlockSpec>& blocks, int classes) {
  Architecture architecture = make_architecture(stem_c, blocks, 1, classes);
  architecture.name = "mobilenet_v1";
  for (Block& block : architecture.blocks) {
    block.project.clamp = kRelu6;
    block.residual = false;
  }
  architecture.head.reset();
  architecture.dense = {linear(architecture.embedding_size(), classes)};
  return architecture;
}

Architecture tiny_architecture(int classes) {
  return make_architecture(8, {{1, 5, 1}, {3, 9, 2}, {2, 9, 1}}, 20, classes);
}

Architecture mobilenet_v2_architecture(int classes) {
  constexpr int kTable[][4] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                               {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};  // t, c, n, s
  std::vector<BlockSpec> blocks;
  for (const auto& [t, c, n, s] : kTable) {
    for (int i = 0; i < n; ++i) blocks.push_back({t, c, i == 0 ? s : 1});
  }
  return make_architecture(32, blocks, 1280, classes);
}

Architecture mobilenet_v1_architecture(double alpha, int classes) {
  constexpr int kTable[][3] = {{64, 1, 1},  {128, 1, 2}, {128, 1, 1},  {256, 1, 2}, {256, 1, 1},
                               {512, 1, 2}, {512, 5, 1}, {1024, 1, 2}, {1024, 1, 1}};  // c, n, s
  const auto scaled = [alpha](int channels) { return static_cast<int>(channels * alpha); };
  std::vector<BlockSpec> blocks;
  for (const auto& [c, n, s] : kTable)
    for (int i = 0; i < n; ++i) blocks.push_back({.expand = 1, .out_c = scaled(c), .stride = s});
  return make_separable_architecture(scaled(32), blocks, classes);
}

FileTensor& ModelFile::tensor(const std::string& name) {
  for (FileTensor& tensor : tensors) {
    if (tensor.name == name) return tensor;
  }
  throw std::out_of_range("no tensor " + name);
}

std::string ModelFile::serialize() const {
  Json header;
  header["__metadata__"] = metadata;
  std::string data;
  for (const FileTensor& tensor : tensors) {
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {data.size(), data.size() + tensor.data.size()}}};
    data += tensor.data;
  }
  return serialize_safetensors(header.dump(), data);
}

std::string serialize_safetensors(std::string header, const std::string& data) {
  while ((header.size() + 8) % 64 != 0) header += ' ';
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes + header + data;
}

std::string architecture_json(const Architecture& architecture) {
  Json blocks = Json::array();
  for (const Block& block : architecture.blocks) {
    blocks.push_back({{"expand", optional_layer_json(block.expand)},
                      {"depthwise", layer_json(block.depthwise)},
                      {"project", layer_json(block.project)},
                      {"residual", block.residual}});
  }
  Json json = {{"name", architecture.name},
               {"padding", architecture.padding == Padding::same ? "same" : "symmetric"},
               {"stem", layer_json(architecture.stem)},
               {"blocks", std::move(blocks)},
               {"head", optional_layer_json(architecture.head)},
               {"classifier", dense_json(architecture.dense)}};
  if (!architecture.dense.empty()) {
    constexpr const char* kActivations[] = {"softmax", "sigmoid", "none"};
    json["output_activation"] = kActivations[static_cast<int>(architecture.output_activation)];
  }
  return json.dump();
}

std::string preprocessing_json(const Preprocessing& preprocessing) {
  constexpr const char* kInterpolations[] = {"bilinear", "bicubic", "lanczos", "nearest"};
  constexpr const char* kForms[] = {"crop",   "crop-floor",        "fit",
                                    "squash", "squash-half-pixel", "squash-align-corners"};
  const Json json = {{"resize", preprocessing.resize},
                     {"crop", preprocessing.crop},
                     {"mean", preprocessing.mean},
                     {"std", preprocessing.std},
                     {"interpolation", kInterpolations[static_cast<int>(preprocessing.interpolation)]},
                     {"form", kForms[static_cast<int>(preprocessing.form)]}};
  return json.dump();
}

std::string labels_json(const std::vector<std::string>& labels) { return Json(labels).dump(); }

ModelFile make_model_file(const Architecture& architecture, const Preprocessing& preprocessing,
                          const std::vector<std::string>& labels, std::uint32_t seed) {
  std::mt19937 random(seed);
  ModelFile file;
  file.metadata = {{"format", "mnv2-classify"},
                   {"format_version", "3"},
                   {"architecture", architecture_json(architecture)},
                   {"preprocessing", preprocessing_json(preprocessing)},
                   {"source", "random weights, seed " + std::to_string(seed)}};
  if (!labels.empty()) file.metadata["labels"] = labels_json(labels);
  add_layer(architecture.stem, random, file);
  for (const Block& block : architecture.blocks) {
    if (block.expand) add_layer(*block.expand, random, file);
    add_layer(block.depthwise, random, file);
    add_layer(block.project, random, file);
  }
  if (architecture.head) add_layer(*architecture.head, random, file);
  for (const Layer& layer : architecture.dense) add_layer(layer, random, file);
  return file;
}

void add_input_means(ModelFile& file, const Architecture& architecture, std::uint32_t seed) {
  file.metadata["format_version"] = "4";
  std::mt19937 engine(seed);
  const auto add = [&](const Layer& layer) {
    std::string data;
    for (int c = 0; c < layer.in_c; ++c) {
      const float mean = static_cast<float>(engine() % 1024) / 1024;
      data.append(reinterpret_cast<const char*>(&mean), sizeof(mean));
    }
    file.tensors.push_back({layer.name + ".input_mean", "F32", {layer.in_c}, data});
  };
  add(architecture.stem);
  for (const Block& block : architecture.blocks) {
    if (block.expand) add(*block.expand);
    add(block.project);
  }
  if (architecture.head) add(*architecture.head);
  for (const Layer& layer : architecture.dense) add(layer);
}

std::string serialize_model(const Architecture& architecture, const Preprocessing& preprocessing,
                            const std::vector<std::string>& labels, std::uint32_t seed) {
  return make_model_file(architecture, preprocessing, labels, seed).serialize();
}

std::vector<std::string> numbered_labels(int classes) {
  std::vector<std::string> labels;
  for (int i = 0; i < classes; ++i) labels.push_back("class " + std::to_string(i));
  return labels;
}

}  // namespace mnv2::test
