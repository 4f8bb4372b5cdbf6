#include "mnv2/model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
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
constexpr std::array<std::string_view, 3> kFormatVersions{"1", "2", "3"};  // each a subset of the next

struct LayerWeights {
  std::span<const float> weight;
  std::span<const float> bias;
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

/// The index of the first value that is NaN or infinite, or the number of values.
std::size_t first_not_finite(std::span<const float> values) {
  // Whole chunks without an early exit, so that the compiler vectorises; on the way of every start of the
  // program.
  constexpr std::size_t kChunk = 4096;
  for (std::size_t start = 0; start < values.size(); start += kChunk) {
    const std::span<const float> chunk = values.subspan(start, std::min(kChunk, values.size() - start));
    std::uint32_t found = 0;
    for (const float value : chunk) found |= is_not_finite(value) ? 1 : 0;
    if (found != 0) {
      return start + static_cast<std::size_t>(std::find_if(chunk.begin(), chunk.end(), is_not_finite) -
                                              chunk.begin());
    }
  }
  return values.size();
}

std::span<const float> read_floats(const Safetensors& file, const std::string& name,
                                   const std::vector<std::uint64_t>& shape) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) fail(name, "missing tensor, expected F32 " + model::shape_text(shape));
  const Tensor& tensor = found->second;
  if (tensor.dtype != "F32") fail(name, "type " + tensor.dtype + ", expected F32");
  if (tensor.shape != shape) {
    fail(name, "shape " + model::shape_text(tensor.shape) + ", expected " + model::shape_text(shape));
  }
  // parse_safetensors() checked size and alignment.
  const std::span<const float> values(reinterpret_cast<const float*>(tensor.data.data()),
                                      tensor.data.size() / sizeof(float));
  const std::size_t bad = first_not_finite(values);
  if (bad != values.size()) {
    const char* text = std::isnan(values[bad]) ? "NaN" : values[bad] > 0 ? "inf" : "-inf";
    fail(name, "element " + std::to_string(bad) + " is " + text + ", expected finite values");
  }
  return values;
}

std::unordered_map<std::string, LayerWeights> read_weights(const Safetensors& file,
                                                           const Architecture& architecture) {
  std::unordered_map<std::string, LayerWeights> result;
  for (const Layer* layer : architecture.layers()) {
    LayerWeights& weights = result[layer->name];
    weights.weight = read_floats(file, layer->name + ".weight", model::weight_shape(*layer));
    weights.bias = read_floats(file, layer->name + ".bias", {static_cast<std::uint64_t>(layer->out_c)});
  }
  if (file.tensors.size() == 2 * result.size()) return result;
  for (const auto& [name, tensor] : file.tensors) {
    const std::size_t dot = name.rfind('.');
    const std::string layer = name.substr(0, dot);
    const std::string_view part = dot == std::string::npos ? "" : std::string_view(name).substr(dot);
    if (!result.contains(layer) || (part != ".weight" && part != ".bias")) {
      fail("tensor " + quote(name), "belongs to no layer of the architecture");
    }
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
  std::unordered_map<std::string, LayerWeights> weights;  // by layer name

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
std::span<const float> Model::weight(const Layer& layer) const { return data_->weights_of(layer).weight; }
std::span<const float> Model::bias(const Layer& layer) const { return data_->weights_of(layer).bias; }

void ModelMemory::release(const Model& model) noexcept {
  model.data_->file.release(model.data_->file.bytes());
}
void ModelMemory::release(const Model& model, const Layer& layer) {
  model.data_->file.release(std::as_bytes(model.weight(layer)));
}

}  // namespace mnv2
