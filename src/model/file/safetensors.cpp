#include "model/file/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "model/file/json_fields.h"

namespace mnv2::model {
namespace {

static_assert(std::endian::native == std::endian::little,
              "safetensors is little-endian and is used in place");

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 16 << 20;  // MobileNetV2's is 40 KB
constexpr std::size_t kMaxDimensions = 8;
constexpr std::string_view kMetadataKey = "__metadata__";

std::optional<std::uint64_t> dtype_bytes(std::string_view dtype) {
  struct Entry {
    std::string_view name;
    std::uint64_t bytes;
  };
  static constexpr Entry kEntries[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
                                       {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
                                       {"U32", 4},  {"F32", 4}, {"I64", 8}, {"U64", 8},     {"F64", 8}};
  for (const Entry& entry : kEntries) {
    if (entry.name == dtype) return entry.bytes;
  }
  return std::nullopt;
}

/// The header's text; what comes after it is the data.
std::string_view header_text(std::span<const std::byte> file) {
  if (file.size() < kLengthBytes) {
    fail("header",
         std::to_string(file.size()) + " bytes in the file, expected at least 8 for the header's length");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) {
    fail("header", "length " + std::to_string(length) + ", expected at most " +
                       std::to_string(kMaxHeaderBytes) + " (is it a safetensors file?)");
  }
  if (length > file.size() - kLengthBytes) {
    fail("header", "length " + std::to_string(length) + ", but only " +
                       std::to_string(file.size() - kLengthBytes) + " bytes follow");
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  if (!text.starts_with('{')) fail("header", "does not start with '{' (is it a safetensors file?)");
  return text;
}

std::map<std::string, std::string> read_metadata(const Json& json) {
  const std::string where(kMetadataKey);
  if (!json.is_object()) fail(where, describe(json) + ", expected an object");
  std::map<std::string, std::string> metadata;
  for (const auto& item : json.items()) {
    if (!item.value().is_string()) {
      fail(where, quote(item.key()) + " is " + describe(item.value()) + ", expected a string");
    }
    metadata[item.key()] = item.value().get<std::string>();
  }
  return metadata;
}

std::uint64_t read_count(const Fields& fields, const char* key, const Json& value) {
  if (!value.is_number_unsigned()) {
    fail(fields.where(), quote(key) + " holds " + describe(value) + ", expected integers from 0");
  }
  return value.get<std::uint64_t>();
}

struct Extent {
  std::uint64_t begin;  // bytes from the start of the data
  std::uint64_t end;
  std::string name;
};

Extent read_tensor(const std::string& name, const Json& json, std::span<const std::byte> data,
                   std::uint64_t data_start, Tensor& tensor) {
  const Fields fields(json, "tensor " + quote(name), {"dtype", "shape", "data_offsets"});
  tensor.dtype = fields.string("dtype");
  const std::optional<std::uint64_t> element_bytes = dtype_bytes(tensor.dtype);
  if (!element_bytes) fields.fail_value("dtype", "a type of safetensors, such as \"F32\"");

  const Json& shape = fields.array("shape");
  if (shape.size() > kMaxDimensions) fields.fail_value("shape", "at most 8 dimensions");
  std::uint64_t bytes = *element_bytes;
  for (const Json& entry : shape) {
    tensor.shape.push_back(read_count(fields, "shape", entry));
    if (__builtin_mul_overflow(bytes, tensor.shape.back(), &bytes)) {
      fail(fields.where(), "more than 2^64 bytes in its shape");
    }
  }

  const Json& offsets = fields.array("data_offsets");
  if (offsets.size() != 2) fields.fail_value("data_offsets", "[begin, end]");
  const std::uint64_t begin = read_count(fields, "data_offsets", offsets[0]);
  const std::uint64_t end = read_count(fields, "data_offsets", offsets[1]);
  const auto where_text = [&] {
    return "data_offsets [" + std::to_string(begin) + ", " + std::to_string(end) + "]";
  };
  if (begin > end) fail(fields.where(), where_text() + ", expected begin <= end");
  if (end > data.size()) {
    fail(fields.where(),
         where_text() + ", but the file has " + std::to_string(data.size()) + " bytes of data");
  }
  if (end - begin != bytes) {
    fail(fields.where(), where_text() + ", but shape " + shape_text(tensor.shape) + " of " + tensor.dtype +
                             " takes " + std::to_string(bytes) + " bytes");
  }
  if ((data_start + begin) % *element_bytes != 0) {
    fail(fields.where(), "starts at byte " + std::to_string(data_start + begin) +
                             " of the file, expected a multiple of " + std::to_string(*element_bytes));
  }
  tensor.data = data.subspan(begin, bytes);
  return {begin, end, name};
}

/// Each byte of the data belongs to exactly one tensor, as the format asks: no room for hidden content.
void check_coverage(std::vector<Extent> extents, std::uint64_t data_bytes) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t covered = 0;
  for (const Extent& extent : extents) {
    if (extent.begin != covered) {
      fail("tensor " + quote(extent.name),
           std::string(extent.begin < covered ? "overlaps another one" : "leaves a gap before it") +
               ": begins at byte " + std::to_string(extent.begin) + " of the data, expected " +
               std::to_string(covered));
    }
    covered = extent.end;
  }
  if (covered != data_bytes) {
    fail("data", std::to_string(data_bytes) + " bytes, but the tensors end at " + std::to_string(covered));
  }
}

}  // namespace

Safetensors parse_safetensors(std::span<const std::byte> file) {
  const std::string_view text = header_text(file);
  const Json header = parse_json(text, "header");
  const std::uint64_t data_start = kLengthBytes + text.size();
  const std::span<const std::byte> data = file.subspan(data_start);

  Safetensors result;
  std::vector<Extent> extents;
  for (const auto& item : header.items()) {
    if (item.key() == kMetadataKey) {
      result.metadata = read_metadata(item.value());
    } else {
      Tensor& tensor = result.tensors[item.key()];
      extents.push_back(read_tensor(item.key(), item.value(), data, data_start, tensor));
    }
  }
  check_coverage(std::move(extents), data.size());
  return result;
}

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

}  // namespace mnv2::model
