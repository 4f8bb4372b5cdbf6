// The safetensors container: named tensors and strings in one file (https://huggingface.co/docs/safetensors).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace mnv2::model {

struct Tensor {
  std::string dtype;                 // as in the file, one of the known ones: "F32", "I64", ...
  std::vector<std::uint64_t> shape;  // at most 8 entries
  std::span<const std::byte> data;   // product of `shape` elements, aligned to their size
};

/// The contents of a file; the tensors point into it.
struct Safetensors {
  std::map<std::string, std::string> metadata;  // `__metadata__`
  std::map<std::string, Tensor> tensors;
};

/// Every length, offset and product is checked; the tensors cover the data after the header exactly once.
/// @param file the whole file, aligned to 8 bytes.
/// @throws Error{invalid_model}
Safetensors parse_safetensors(std::span<const std::byte> file);

/// "[32, 3, 3, 3]", for messages.
std::string shape_text(std::span<const std::uint64_t> shape);

}  // namespace mnv2::model
