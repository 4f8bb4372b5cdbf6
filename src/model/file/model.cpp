#include "mnv2/model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "core/mapped_file.h"
#include "mnv2/error.h"
#include "model/file/architecture.h"
#include "model/file/json_fields.h"
#include "model/file/model_memory.h"
#include "model/file/safetensors.h"

namespace mnv2 {
namespace {

using model::fail;
using model::quote;
using model::Safetensors;
using model::Tensor;

constexpr std::string_view kFormat = "mnv2-classify";
constexpr std::array<std::string_view, 4> kFormatVersions{"1", "2", "3", "4"};  // each a subset of the next

/// The upper half of a float32.
using Bfloat16 = std::uint16_t;
float widen(float value) { return value; }
float widen(Bfloat16 value) { return std::bit_cast<float>(std::uint32_t{value} << 16); }

/// Of the types that a model file has: weights may be stored in either, all else is F32.
template <typename Value>
constexpr std::string_view kDtype = "";
template <>
constexpr std::string_view kDtype<float> = "F32";
template <>
constexpr std::string_view kDtype<Bfloat16> = "BF16";

struct LayerWeights {
  std::span<const float> weight;          // empty where the file has bfloat16
  std::span<const Bfloat16> weight_bf16;  // empty where the file has float32
  std::span<const float> bias;
  std::span<const float> input_mean;  // empty where the file has none

  /// The weights as float32, wherever they come from.
  std::span<const float> widened() const {
    if (weight_bf16.empty()) return weight;
    std::call_once(once, [this] {
      copy.reserve(weight_bf16.size());
      for (const Bfloat16 value : weight_bf16) copy.push_back(widen(value));
    });
    return copy;
  }

 private:
  mutable std::once_flag once;
  mutable std::vector<float> copy;
};

const std::string& metadata_value(const Safetensors& file, const std::string& key) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) fail("__metadata__", "missing key " + quote(key));
  return found->second;
}

void check_format(const Safetensors& file) {
  const auto format = file.metadata.find("format");
  if (format == file.metadata.end() || format->second != kFormat) {
    fail("__metadata__",
         (format == file.metadata.end() ? "no \"format\"" : "\"format\" is " + quote(format->second)) +
             ", expected " + quote(kFormat) + " (make a model file with scripts/convert_torchvision.py)");
  }
  const std::string version = metadata_value(file, "format_version");
  if (std::find(kFormatVersions.begin(), kFormatVersions.end(), version) == kFormatVersions.end()) {
    fail("__metadata__", "\"format_version\" is " + quote(version) + ", this program understands " +
                             quote(kFormatVersions.front()) + " to " + quote(kFormatVersions.back()));
  }
}

bool is_not_finite(float value) {
  constexpr std::uint32_t kExponent = 0x7f800000;
  return (std::bit_cast<std::uint32_t>(value) & kExponent) == kExponent;
}
bool is_not_finite(Bfloat16 value) {
  constexpr Bfloat16 kExponent = 0x7f80;
  return (value & kExponent) == kExponent;
}

/// The index of the first value that is NaN or infinite, or the number of values.
template <typename Value>
std::size_t first_not_finite(std::span<const Value> values) {
  // Whole chunks without an early exit, so that the compiler vectorises; on the way of every start of the
  // program.
  constexpr std::size_t kChunk = 4096;
  for (std::size_t start = 0; start < values.size(); start += kChunk) {
    const std::span<const Value> chunk = values.subspan(start, std::min(kChunk, values.size() - start));
    std::uint32_t found = 0;
    for (const Value value : chunk) found |= is_not_finite(value) ? 1 : 0;
    if (found != 0) {
      const auto first = std::find_if(chunk.begin(), chunk.end(), [](Value v) { return is_not_finite(v); });
      return start + static_cast<std::size_t>(first - chunk.begin());
    }
  }
  return values.size();
}

/// Whether tensor `name` is there and of this type.
template <typename Value>
bool has_tensor(const Safetensors& file, const std::string& name) {
  const auto found = file.tensors.find(name);
  return found != file.tensors.end() && found->second.dtype == kDtype<Value>;
}

template <typename Value>
std::span<const Value> read_tensor(const Safetensors& file, const std::string& name,
                                   const std::vector<std::uint64_t>& shape) {
  const std::string dtype(kDtype<Value>);
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end())
    fail(name, "missing tensor, expected " + dtype + " " + model::shape_text(shape));
  const Tensor& tensor = found->second;
  if (tensor.dtype != dtype) fail(name, "type " + tensor.dtype + ", expected " + dtype);
  if (tensor.shape != shape) {
    fail(name, "shape " + model::shape_text(tensor.shape) + ", expected " + model::shape_text(shape));
  }
  // parse_safetensors() checked size and alignment.
  const std::span<const Value> values(reinterpret_cast<const Value*>(tensor.data.data()),
                                      tensor.data.size() / sizeof(Value));
  const std::size_t bad = first_not_finite(values);
  if (bad != values.size()) {
    const float value = widen(values[bad]);
    const char* text = std::isnan(value) ? "NaN" : value > 0 ? "inf" : "-inf";
    fail(name, "element " + std::to_string(bad) + " is " + text + ", expected finite values");
  }
  return values;
}

/// By layer name.
using NetworkWeights = std::unordered_map<std::string, LayerWeights>;

NetworkWeights read_weights(const Safetensors& file, const Architecture& architecture) {
  NetworkWeights result;
  // Of the layers that are not depthwise, all are stored alike and all have a mean of their inputs, or none.
  const bool bf16 = has_tensor<Bfloat16>(file, architecture.stem.name + ".weight");
  const bool means = file.tensors.contains(architecture.stem.name + ".input_mean");
  std::size_t tensors = 0;
  for (const Layer* layer : architecture.layers()) {
    LayerWeights& weights = result[layer->name];
    const bool depthwise = layer->kind == LayerKind::depthwise;
    const std::vector<std::uint64_t> shape = model::weight_shape(*layer);
    if (bf16 && !depthwise)
      weights.weight_bf16 = read_tensor<Bfloat16>(file, layer->name + ".weight", shape);
    else
      weights.weight = read_tensor<float>(file, layer->name + ".weight", shape);
    weights.bias =
        read_tensor<float>(file, layer->name + ".bias", {static_cast<std::uint64_t>(layer->out_c)});
    tensors += 2;
    if (!means || depthwise) continue;
    weights.input_mean =
        read_tensor<float>(file, layer->name + ".input_mean", {static_cast<std::uint64_t>(layer->in_c)});
    ++tensors;
  }
  if (file.tensors.size() == tensors) return result;
  for (const auto& [name, tensor] : file.tensors) {
    const std::size_t dot = name.rfind('.');
    const auto layer = result.find(name.substr(0, dot));
    const std::string_view part = dot == std::string::npos ? "" : std::string_view(name).substr(dot);
    const bool known =
        layer != result.end() && (part == ".weight" || part == ".bias" ||
                                  (part == ".input_mean" && !layer->second.input_mean.empty()));
    if (!known) fail("tensor " + quote(name), "belongs to no layer of the architecture");
  }
  return result;
}

}  // namespace

struct Model::Data {
  explicit Data(const std::filesystem::path& file_path) : path(file_path), file(file_path) {}

  std::filesystem::path path;
  MappedFile file;
  Architecture architecture;
  Preprocessing preprocessing;
  std::vector<std::string> labels;
  std::string source;
  NetworkWeights weights;

  const LayerWeights& weights_of(const Layer& layer) const {
    const auto found = weights.find(layer.name);
    if (found == weights.end()) {
      throw Error(ErrorCode::invalid_argument, path.string() + ": no layer " + quote(layer.name));
    }
    return found->second;
  }
};

Model Model::load(const std::filesystem::path& path) {
  const auto data = std::make_shared<Data>(path);
  try {
    const Safetensors file = model::parse_safetensors(data->file.bytes());
    check_format(file);
    data->architecture = model::parse_architecture(metadata_value(file, "architecture"));
    data->preprocessing = model::parse_preprocessing(metadata_value(file, "preprocessing"));
    if (const auto labels = file.metadata.find("labels"); labels != file.metadata.end()) {
      if (data->architecture.dense.empty())
        fail("labels", "found, expected none for a network without classifier");
      data->labels = model::parse_labels(labels->second, data->architecture.num_classes());
    }
    data->source = metadata_value(file, "source");
    data->weights = read_weights(file, data->architecture);
  } catch (const Error& e) {
    throw Error(e.code(), path.string() + ": " + e.what());
  }
  return Model(data);
}

const Architecture& Model::architecture() const { return data_->architecture; }
const Preprocessing& Model::preprocessing() const { return data_->preprocessing; }
const std::vector<std::string>& Model::labels() const { return data_->labels; }
const std::string& Model::source() const { return data_->source; }
const std::filesystem::path& Model::path() const { return data_->path; }
std::uint64_t Model::file_bytes() const { return data_->file.bytes().size(); }
std::span<const float> Model::weight(const Layer& layer) const { return data_->weights_of(layer).widened(); }
std::span<const float> Model::input_mean(const Layer& layer) const {
  return data_->weights_of(layer).input_mean;
}
std::span<const float> Model::bias(const Layer& layer) const { return data_->weights_of(layer).bias; }

void ModelMemory::release(const Model& model) noexcept {
  model.data_->file.release(model.data_->file.bytes());
}
void ModelMemory::release(const Model& model, const Layer& layer) {
  const LayerWeights& weights = model.data_->weights_of(layer);
  model.data_->file.release(std::as_bytes(weights.weight));
  model.data_->file.release(std::as_bytes(weights.weight_bf16));
}

}  // namespace mnv2
