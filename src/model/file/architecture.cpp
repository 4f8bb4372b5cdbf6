#include "model/file/architecture.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <utility>

#include "model/file/json_fields.h"

namespace mnv2 {

std::string_view layer_kind_name(LayerKind kind) noexcept {
  switch (kind) {
    case LayerKind::conv: return "conv";
    case LayerKind::depthwise: return "depthwise";
    case LayerKind::pointwise: return "pointwise";
    case LayerKind::linear: return "linear";
  }
  return "unknown";
}

std::string_view padding_name(Padding padding) noexcept {
  return padding == Padding::same ? "same" : "symmetric";
}

std::string_view output_activation_name(OutputActivation activation) noexcept {
  switch (activation) {
    case OutputActivation::softmax: return "softmax";
    case OutputActivation::sigmoid: return "sigmoid";
    case OutputActivation::none: return "none";
  }
  return "unknown";
}

std::vector<const Layer*> Architecture::layers() const {
  std::vector<const Layer*> result{&stem};
  for (const Block& block : blocks) {
    if (block.expand) result.push_back(&*block.expand);
    result.push_back(&block.depthwise);
    result.push_back(&block.project);
  }
  if (head) result.push_back(&*head);
  for (const Layer& layer : dense) result.push_back(&layer);
  return result;
}

}  // namespace mnv2

namespace mnv2::model {
namespace {

constexpr int kMaxChannels = 65536;
constexpr std::size_t kMaxBlocks = 1024;
constexpr std::size_t kMaxDenseLayers = 64;
constexpr int kMaxImageSide = 16384;  // pixels
constexpr int kImageChannels = 3;

/// What a place in the network asks of its layer.
struct Place {
  std::string name;
  LayerKind kind;
  int kernel;
  int max_stride;
};

/// Where the input of a layer comes from.
struct Source {
  int channels;
  std::string description;
};

/// A number that a float can hold, or nothing.
std::optional<float> finite_float(const Json& value) {
  if (!value.is_number()) return std::nullopt;
  const double number = value.get<double>();
  if (!(std::abs(number) <= std::numeric_limits<float>::max())) return std::nullopt;
  return static_cast<float>(number);
}

Clamp read_clamp(const Fields& fields) {
  const Json& value = fields["clamp"];
  if (value.is_null()) return {};
  if (!value.is_array() || value.size() != 2) fields.fail_value("clamp", "[min, max] or null");
  const auto read_bound = [&fields](const Json& bound, float unbounded) {
    if (bound.is_null()) return unbounded;
    const std::optional<float> number = finite_float(bound);
    if (!number) {
      fail(fields.where(),
           "\"clamp\" holds " + describe(bound) + ", expected numbers within float32 or null");
    }
    return *number;
  };
  const Clamp unbounded;
  const Clamp clamp{read_bound(value[0], unbounded.min), read_bound(value[1], unbounded.max)};
  if (clamp.min > clamp.max) {
    fail(fields.where(),
         "\"clamp\" is [" + describe(value[0]) + ", " + describe(value[1]) + "], expected min <= max");
  }
  return clamp;
}

/// Of the weights, and for each channel at most a bias and BatchNorm's two.
std::int64_t read_source_parameters(const Fields& fields, const Layer& layer) {
  const std::int64_t weights = std::int64_t{layer.kernel} * layer.kernel * layer.out_c *
                               (layer.kind == LayerKind::depthwise ? 1 : layer.in_c);
  const std::int64_t most = weights + 3 * std::int64_t{layer.out_c};
  const Json& value = fields["source_parameters"];
  const bool in_range = value.is_number_unsigned() &&
                        value.get<std::uint64_t>() >= static_cast<std::uint64_t>(weights) &&
                        value.get<std::uint64_t>() <= static_cast<std::uint64_t>(most);
  if (!in_range)
    fields.fail_value("source_parameters", std::to_string(weights) + " to " + std::to_string(most));
  return value.get<std::int64_t>();
}

Layer read_layer(const Json& json, const Place& place, const Source& input) {
  const Fields fields(json, place.name, {"kind", "in_channels", "out_channels", "kernel", "stride", "clamp"},
                      {"source_parameters"});
  if (fields.string("kind") != layer_kind_name(place.kind)) {
    fields.fail_value("kind", quote(layer_kind_name(place.kind)));
  }
  Layer layer;
  layer.name = place.name;
  layer.kind = place.kind;
  layer.in_c = fields.integer("in_channels", 1, kMaxChannels);
  layer.out_c = fields.integer("out_channels", 1, kMaxChannels);
  layer.kernel = fields.integer("kernel", place.kernel, place.kernel);
  layer.stride = fields.integer("stride", 1, place.max_stride);
  layer.clamp = read_clamp(fields);
  if (layer.in_c != input.channels) {
    fail(place.name, std::to_string(layer.in_c) + " input channels, expected " +
                         std::to_string(input.channels) + " (" + input.description + ")");
  }
  if (layer.kind == LayerKind::depthwise && layer.out_c != layer.in_c) {
    fail(place.name, std::to_string(layer.out_c) + " output channels, expected " +
                         std::to_string(layer.in_c) + " (as many as input channels)");
  }
  if (fields.has("source_parameters")) layer.source_parameters = read_source_parameters(fields, layer);
  return layer;
}

Source output_of(const Layer& layer) { return {layer.out_c, "the output of " + layer.name}; }

/// The value of the name that `key` has.
template <typename Value, std::size_t kCount>
Value read_choice(const Fields& fields, const char* key, std::string_view (*name_of)(Value) noexcept,
                  const std::array<Value, kCount>& values) {
  const std::string& name = fields.string(key);
  std::string expected;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (name == name_of(values[i])) return values[i];
    expected += (i == 0 ? "" : i + 1 < kCount ? ", " : " or ") + quote(name_of(values[i]));
  }
  fields.fail_value(key, expected);
}

constexpr std::array kPaddings{Padding::symmetric, Padding::same};
constexpr std::array kOutputActivations{OutputActivation::softmax, OutputActivation::sigmoid,
                                        OutputActivation::none};
Block read_block(const Json& json, const std::string& name, const Source& input) {
  const Fields fields(json, name, {"expand", "depthwise", "project", "residual"});
  Block block;
  Source source = input;
  if (!fields["expand"].is_null()) {
    block.expand = read_layer(fields["expand"], {name + ".expand", LayerKind::pointwise, 1, 1}, source);
    source = output_of(*block.expand);
  }
  block.depthwise =
      read_layer(fields["depthwise"], {name + ".depthwise", LayerKind::depthwise, 3, 2}, source);
  block.project = read_layer(fields["project"], {name + ".project", LayerKind::pointwise, 1, 1},
                             output_of(block.depthwise));
  block.residual = fields.boolean("residual");
  if (block.residual && block.depthwise.stride != 1) {
    fail(name, "residual with stride " + std::to_string(block.depthwise.stride) + ", expected stride 1");
  }
  if (block.residual && block.project.out_c != input.channels) {
    fail(name, "residual with " + std::to_string(input.channels) + " input and " +
                   std::to_string(block.project.out_c) + " output channels, expected as many");
  }
  return block;
}

std::array<float, 3> read_rgb(const Fields& fields, const char* key, bool positive) {
  const Json& value = fields.array(key);
  if (value.size() != 3) fields.fail_value(key, "an array of 3 (red, green, blue)");
  std::array<float, 3> result{};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::optional<float> number = finite_float(value[i]);
    if (!number || (positive && *number <= 0)) {
      fail(fields.where(), quote(key) + " holds " + describe(value[i]) + ", expected " +
                               (positive ? "positive numbers" : "numbers") + " within float32");
    }
    result[i] = *number;
  }
  return result;
}

/// One layer, or an array of them.
std::vector<Layer> read_dense_layers(const Fields& fields, Source source) {
  const Json& json = fields["classifier"];
  if (json.is_null()) return {};
  if (!json.is_array()) return {read_layer(json, {"classifier", LayerKind::linear, 1, 1}, source)};
  if (json.empty() || json.size() > kMaxDenseLayers)
    fields.fail_value("classifier", "null, a layer or an array of 1 to " + std::to_string(kMaxDenseLayers));
  std::vector<Layer> layers;
  for (const Json& layer : json) {
    const std::string name = "classifier." + std::to_string(layers.size());
    layers.push_back(read_layer(layer, {name, LayerKind::linear, 1, 1}, source));
    source = output_of(layers.back());
  }
  return layers;
}

OutputActivation read_output_activation(const Fields& fields, const std::vector<Layer>& dense) {
  const bool is_stated = fields.has("output_activation");
  if (is_stated && dense.empty())
    fields.fail_value("output_activation", "nothing, as there is no classifier");
  const OutputActivation activation =
      is_stated ? read_choice(fields, "output_activation", output_activation_name, kOutputActivations)
                : OutputActivation::softmax;
  // It would say for certain, of every image, that it is of the one class.
  if (activation == OutputActivation::softmax && !dense.empty() && dense.back().out_c == 1)
    fail(fields.where(),
         "a softmax of 1 output, which is 1 for every image; expected \"output_activation\" \"sigmoid\" or "
         "\"none\" "
         "(convert it with --output-activation)");
  return activation;
}

}  // namespace

Architecture parse_architecture(std::string_view text) {
  const Json json = parse_json(text, "architecture");
  const Fields fields(json, "architecture", {"name", "stem", "blocks", "head", "classifier"},
                      {"padding", "output_activation"});
  Architecture result;
  result.name = fields.string("name");
  if (fields.has("padding")) result.padding = read_choice(fields, "padding", padding_name, kPaddings);
  result.stem = read_layer(fields["stem"], {"stem", LayerKind::conv, 3, 2}, {kImageChannels, "an RGB image"});

  const Json& blocks = fields.array("blocks");
  if (blocks.empty() || blocks.size() > kMaxBlocks) {
    fields.fail_value("blocks", "1 to " + std::to_string(kMaxBlocks) + " blocks");
  }
  Source source = output_of(result.stem);
  for (const Json& block : blocks) {
    const std::string name = "blocks." + std::to_string(result.blocks.size());
    result.blocks.push_back(read_block(block, name, source));
    source = output_of(result.blocks.back().project);
  }
  if (!fields["head"].is_null()) {
    result.head = read_layer(fields["head"], {"head", LayerKind::pointwise, 1, 1}, source);
    source = output_of(*result.head);
  }
  result.dense = read_dense_layers(fields, source);
  result.output_activation = read_output_activation(fields, result.dense);
  return result;
}

Preprocessing parse_preprocessing(std::string_view text) {
  const Json json = parse_json(text, "preprocessing");
  const Fields fields(json, "preprocessing", {"resize", "crop", "mean", "std", "interpolation"}, {"form"});
  Preprocessing result;
  if (fields.has("form")) result.form = read_choice(fields, "form", resize_form_name, kResizeForms);
  result.interpolation = read_choice(fields, "interpolation", interpolation_name, kInterpolations);
  const std::string form = quote(resize_form_name(result.form));
  if (!gives_bytes(result.form) && result.interpolation != Interpolation::bilinear)
    fields.fail_value("interpolation", quote("bilinear") + " for the form " + form);
  result.resize = fields.integer("resize", 1, kMaxImageSide);
  result.crop = fields.integer("crop", 1, kMaxImageSide);
  if (!has_resize(result.form) && result.resize != result.crop)
    fields.fail_value("resize", "the crop's " + std::to_string(result.crop) + " for the form " + form);
  result.mean = read_rgb(fields, "mean", false);
  result.std = read_rgb(fields, "std", true);
  return result;
}

std::vector<std::string> parse_labels(std::string_view text, int classes) {
  const Json json = parse_json(text, "labels");
  if (!json.is_array()) fail("labels", describe(json) + ", expected an array");
  if (json.size() != static_cast<std::size_t>(classes)) {
    fail("labels", std::to_string(json.size()) + " labels, expected " + std::to_string(classes) +
                       " (the classes of the classifier)");
  }
  std::vector<std::string> result;
  for (const Json& label : json) {
    if (!label.is_string()) fail("labels", describe(label) + ", expected a string");
    result.push_back(label.get<std::string>());
  }
  return result;
}

std::vector<std::uint64_t> weight_shape(const Layer& layer) {
  const auto out_c = static_cast<std::uint64_t>(layer.out_c);
  const auto in_c = static_cast<std::uint64_t>(layer.kind == LayerKind::depthwise ? 1 : layer.in_c);
  const auto kernel = static_cast<std::uint64_t>(layer.kernel);
  if (layer.kind == LayerKind::linear) return {out_c, in_c};
  return {out_c, in_c, kernel, kernel};
}

}  // namespace mnv2::model
