// The model reader on any file; what it accepts is planned, packed and run on every instruction set.
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fuzz/fuzz.h"
#include "fuzz/memory_file.h"
#include "mnv2/isa.h"
#include "mnv2/model.h"
#include "mnv2/network.h"
#include "model/file/safetensors.h"

using mnv2::ErrorCode;
using mnv2::fuzz::require;

namespace {

void check_weights(const mnv2::Model& model) {
  for (const mnv2::Layer* layer : model.architecture().layers()) {
    float sum = 0;  // reads every byte
    for (const float value : model.weight(*layer)) sum += value - value;
    require(sum == 0, layer->name + " has weights that are not finite");
    require(model.bias(*layer).size() == static_cast<std::size_t>(layer->out_c),
            layer->name + " lacks biases");
  }
  const std::size_t labels = model.labels().size();
  require(labels == 0 || labels == static_cast<std::size_t>(model.architecture().num_classes()),
          "not one label a class");
}

void run(const mnv2::Model& model) {
  constexpr int kSide = 9;  // pixels: maps of 9, 5, 3, 2 and 1
  for (const mnv2::Isa isa : mnv2::supported_isas()) {
    const mnv2::Network network(model, {.isa = isa, .input_h = kSide, .input_w = kSide});
    mnv2::Workspace workspace(network);
    std::vector<float> logits(network.num_outputs());
    network.forward(workspace, logits);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // From memory that ends with the file: a mapping goes on to the end of its page, and no sanitizer knows.
  const bool is_container = mnv2::fuzz::succeeds({ErrorCode::invalid_model}, [&] {
    mnv2::model::parse_safetensors(std::as_bytes(std::span(data, size)));
  });
  const mnv2::fuzz::MemoryFile file(data, size);
  mnv2::fuzz::succeeds({ErrorCode::invalid_model}, [&] {
    const mnv2::Model model = mnv2::Model::load(file.path());
    require(is_container, "a model that is no safetensors file");
    check_weights(model);
    run(model);
  });
  return 0;
}

#ifdef MNV2_LIBFUZZER
namespace {

constexpr std::size_t kLengthBytes = 8;

/// The length of the header of a file that is long enough for it.
std::optional<std::size_t> header_length(const std::uint8_t* data, std::size_t size) {
  std::uint64_t length = 0;
  if (size < kLengthBytes) return std::nullopt;
  std::memcpy(&length, data, kLengthBytes);
  return length <= size - kLengthBytes ? std::optional<std::size_t>(length) : std::nullopt;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

/// Changes the header, the data or anything, and gives the header's new length where the file has it: without that, hardly
/// any change of the header's size would come past the first check.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  const std::optional<std::size_t> length = header_length(data, size);
  if (!length || seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::string tensors(reinterpret_cast<const char*>(data) + kLengthBytes + *length,
                            size - kLengthBytes - *length);
  if (seed % 8 == 1) {
    std::uint8_t* const start = data + kLengthBytes + *length;
    return kLengthBytes + *length +
           LLVMFuzzerMutate(start, tensors.size(), max_size - kLengthBytes - *length);
  }
  constexpr std::size_t kAlignment = 8;
  const std::size_t room = max_size - kLengthBytes - tensors.size();
  if (room < kAlignment) return LLVMFuzzerMutate(data, size, max_size);
  std::size_t changed = LLVMFuzzerMutate(data + kLengthBytes, *length, room - kAlignment);
  while (changed % kAlignment != 0) data[kLengthBytes + changed++] = ' ';
  const std::uint64_t written = changed;
  std::memcpy(data, &written, kLengthBytes);
  std::memcpy(data + kLengthBytes + changed, tensors.data(), tensors.size());
  return kLengthBytes + changed + tensors.size();
}
#endif
