#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "model/file/safetensors.h"
#include "support/catch.h"
#include "support/expect_error.h"
#include "support/model_builder.h"

using mnv2::ErrorCode;
using mnv2::model::parse_safetensors;
using mnv2::model::Safetensors;
using mnv2::test::error_message;
using mnv2::test::serialize_safetensors;

namespace {

/// The bytes in a buffer of their own exact size, so that AddressSanitizer sees a read past them.
struct Buffer {
  explicit Buffer(const std::string& file) : bytes(new std::byte[file.size()]), size(file.size()) {
    std::memcpy(bytes.get(), file.data(), size);
  }
  std::span<const std::byte> span() const { return {bytes.get(), size}; }

  std::unique_ptr<std::byte[]> bytes;
  std::size_t size;
};

std::string refusal(const std::string& file) {
  const Buffer buffer(file);
  return error_message(ErrorCode::invalid_model, [&] { parse_safetensors(buffer.span()); });
}

/// Why `header` with `data_bytes` of data is refused.
std::string header_refusal(const std::string& header, std::size_t data_bytes = 0) {
  return refusal(serialize_safetensors(header, std::string(data_bytes, 'd')));
}

/// Why a file with 64 bytes of data and this one tensor "t" is refused.
std::string tensor_refusal(const std::string& tensor) {
  return header_refusal(R"({"t": )" + tensor + "}", 64);
}

std::string repeat(const std::string& text, std::size_t count) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) result += text;
  return result;
}

}  // namespace

TEST_CASE("tensors and metadata of a file written by hand are read") {
  // 8 + 312 bytes, then 24 bytes of data; the entries are not in the order of their data.
  std::string header =
      R"({"__metadata__":{"a":"b","c":"\u00e9"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]},)"
      R"("n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"e":{"dtype":"F16","shape":[0,3],"data_offsets":[16,16]},)"
      R"("u":{"dtype":"U8","shape":[8],"data_offsets":[16,24]}})";
  header.resize(312, ' ');
  const std::string file = std::string("\x38\x01\0\0\0\0\0\0", 8) + header + "12345678abcdefgh87654321";
  const Buffer buffer(file);
  const Safetensors result = parse_safetensors(buffer.span());

  CHECK(result.metadata == std::map<std::string, std::string>{{"a", "b"}, {"c", "\xc3\xa9"}});
  REQUIRE(result.tensors.size() == 4);
  const auto check = [&](const char* name, const char* dtype, const std::vector<std::uint64_t>& shape,
                         std::size_t begin, std::size_t bytes) {
    INFO(name);
    const auto& tensor = result.tensors.at(name);
    CHECK(tensor.dtype == dtype);
    CHECK(tensor.shape == shape);
    CHECK(tensor.data.data() == buffer.span().data() + begin);
    CHECK(tensor.data.size() == bytes);
  };
  check("n", "I64", {}, 320, 8);
  check("w", "F32", {2, 1}, 328, 8);
  check("e", "F16", {0, 3}, 336, 0);
  check("u", "U8", {8}, 336, 8);
}

TEST_CASE("a file without tensors or metadata is a safetensors file") {
  const Buffer buffer(serialize_safetensors("{}", ""));
  const Safetensors result = parse_safetensors(buffer.span());
  CHECK(result.metadata.empty());
  CHECK(result.tensors.empty());
}

TEST_CASE("a length of the header that does not fit the file is refused") {
  CHECK(refusal("1234567") == "header: 7 bytes in the file, expected at least 8 for the header's length");
  const auto with_length = [](std::uint64_t length, const std::string& rest) {
    std::string file(8, '\0');
    std::memcpy(file.data(), &length, 8);
    return file + rest;
  };
  CHECK(refusal(with_length(0, "{}")) == "header: does not start with '{' (is it a safetensors file?)");
  CHECK(refusal(with_length(3, "{}")) == "header: length 3, but only 2 bytes follow");
  CHECK(refusal(with_length(16 << 20, "{}")) == "header: length 16777216, but only 2 bytes follow");
  for (const std::uint64_t length :
       {(std::uint64_t{16} << 20) + 1, std::uint64_t{1} << 63, ~std::uint64_t{0}, ~std::uint64_t{7}}) {
    CHECK(refusal(with_length(length, "{}")) ==
          "header: length " + std::to_string(length) +
              ", expected at most 16777216 (is it a safetensors file?)");
  }
}

TEST_CASE("a header that is no strict JSON object is refused") {
  CHECK(header_refusal("[]") == "header: does not start with '{' (is it a safetensors file?)");
  CHECK(header_refusal(" {}") == "header: does not start with '{' (is it a safetensors file?)");
  CHECK(header_refusal("\xef\xbb\xbf{}") == "header: does not start with '{' (is it a safetensors file?)");
  CHECK(header_refusal("{\"a\": nope}") == "header: not valid JSON at byte 8");
  CHECK(header_refusal("{} {}") == "header: not valid JSON at byte 4");
  CHECK(header_refusal("{\"\xff\": 1}") == "header: not valid JSON at byte 3");
  CHECK(header_refusal("{\"a\": 1e999}") == "header: not valid JSON: a number out of range");
  CHECK(header_refusal("{\"__metadata__\": {}, \"__metadata__\": {}}") ==
        "header: duplicate key \"__metadata__\"");
  CHECK(header_refusal(R"({"__metadata__": {"a": "1", "a": "1"}})") == "header: duplicate key \"a\"");
  CHECK(tensor_refusal(R"({"dtype": "U8", "dtype": "U8", "shape": [64], "data_offsets": [0, 64]})") ==
        "header: duplicate key \"dtype\"");
}

TEST_CASE("deep nesting is refused before memory or stack is spent on it") {
  CHECK(header_refusal("{\"a\": " + std::string(1000000, '[')) == "header: JSON nested deeper than 16");
  CHECK(header_refusal(repeat("{\"a\":", 1000000)) == "header: JSON nested deeper than 16");
  CHECK(header_refusal("{\"a\": " + std::string(15, '[') + std::string(15, ']') + "}") ==
        "tensor \"a\": an array of 1, expected an object");
  CHECK(header_refusal("{\"a\": " + std::string(16, '[') + std::string(16, ']') + "}") ==
        "header: JSON nested deeper than 16");
}

TEST_CASE("a flood of values is refused before memory is spent on it") {
  const auto zeros = [](std::size_t count) { return "{\"a\": [0" + repeat(",0", count - 1) + "]}"; };
  // The object and the array count as well.
  CHECK(header_refusal(zeros(262142)) == "tensor \"a\": an array of 262142, expected an object");
  CHECK(header_refusal(zeros(262143)) == "header: more than 262144 JSON values");
  CHECK(header_refusal("{\"a\": [[]" + repeat(",[]", 262142) + "]}") ==
        "header: more than 262144 JSON values");
}

TEST_CASE("metadata must be strings") {
  CHECK(header_refusal(R"({"__metadata__": []})") == "__metadata__: an array of 0, expected an object");
  CHECK(header_refusal(R"({"__metadata__": {"a": 1}})") == "__metadata__: \"a\" is 1, expected a string");
  CHECK(header_refusal(R"({"__metadata__": {"a": {"b": "c"}}})") ==
        "__metadata__: \"a\" is an object, expected a string");
  CHECK(header_refusal(R"({"__metadata__": {"a": null}})") ==
        "__metadata__: \"a\" is null, expected a string");
}

TEST_CASE("a tensor with missing, unknown or mistyped fields is refused") {
  CHECK(tensor_refusal("1") == "tensor \"t\": 1, expected an object");
  CHECK(tensor_refusal(R"({"shape": [64], "data_offsets": [0, 64]})") ==
        "tensor \"t\": missing key \"dtype\"");
  CHECK(tensor_refusal(R"({"dtype": "U8", "data_offsets": [0, 64]})") ==
        "tensor \"t\": missing key \"shape\"");
  CHECK(tensor_refusal(R"({"dtype": "U8", "shape": [64]})") == "tensor \"t\": missing key \"data_offsets\"");
  CHECK(tensor_refusal(R"({"dtype": "U8", "shape": [64], "data_offsets": [0, 64], "zip": 1})") ==
        "tensor \"t\": unknown key \"zip\"");
  CHECK(tensor_refusal(R"({"dtype": "F31", "shape": [16], "data_offsets": [0, 64]})") ==
        "tensor \"t\": \"dtype\" is \"F31\", expected a type of safetensors, such as \"F32\"");
  CHECK(tensor_refusal(R"({"dtype": 32, "shape": [16], "data_offsets": [0, 64]})") ==
        "tensor \"t\": \"dtype\" is 32, expected a string");
  CHECK(tensor_refusal(R"({"dtype": "U8", "shape": 64, "data_offsets": [0, 64]})") ==
        "tensor \"t\": \"shape\" is 64, expected an array");
  CHECK(tensor_refusal(R"({"dtype": "U8", "shape": [64,1,1,1,1,1,1,1,1], "data_offsets": [0, 64]})") ==
        "tensor \"t\": \"shape\" is an array of 9, expected at most 8 dimensions");
  CHECK(tensor_refusal(R"({"dtype": "U8", "shape": [64], "data_offsets": [0, 32, 64]})") ==
        "tensor \"t\": \"data_offsets\" is an array of 3, expected [begin, end]");
  CHECK(tensor_refusal(R"({"dtype": "U8", "shape": [64], "data_offsets": {"0": 64}})") ==
        "tensor \"t\": \"data_offsets\" is an object, expected an array");
}

TEST_CASE("shapes and offsets must be whole numbers from zero") {
  for (const std::string bad : {"-1", "-9223372036854775808", "64.0", "6.4e1", "18446744073709551616",
                                "1e300", "\"64\"", "null", "true"}) {
    INFO(bad);
    const auto ends_well = [](const std::string& message) {
      INFO(message);
      CHECK(message.ends_with(", expected integers from 0"));
      return message;
    };
    CHECK(ends_well(tensor_refusal(R"({"dtype": "U8", "shape": [)" + bad + R"(], "data_offsets": [0, 64]})"))
              .starts_with("tensor \"t\": \"shape\" holds "));
    CHECK(ends_well(tensor_refusal(R"({"dtype": "U8", "shape": [64], "data_offsets": [)" + bad + ", 64]}"))
              .starts_with("tensor \"t\": \"data_offsets\" holds "));
    CHECK(ends_well(tensor_refusal(R"({"dtype": "U8", "shape": [64], "data_offsets": [0, )" + bad + "]}"))
              .starts_with("tensor \"t\": \"data_offsets\" holds "));
  }
}

TEST_CASE("shapes whose size overflows are refused") {
  const auto shape_refusal = [](const std::string& dtype, const std::string& shape) {
    return tensor_refusal(R"({"dtype": ")" + dtype + R"(", "shape": )" + shape +
                          R"(, "data_offsets": [0, 64]})");
  };
  const std::string overflow = "tensor \"t\": more than 2^64 bytes in its shape";
  CHECK(shape_refusal("F32", "[9223372036854775808]") == overflow);
  CHECK(shape_refusal("U8", "[18446744073709551615, 2]") == overflow);
  CHECK(shape_refusal("F32", "[1099511627776, 1099511627776]") == overflow);
  // Wraps around to 16 elements when computed in 64 bits.
  CHECK(shape_refusal("F32", "[16, 4294967297, 4294967295, 4294967297, 4294967295]") == overflow);
  CHECK(shape_refusal("U8", "[18446744073709551615]") ==
        "tensor \"t\": data_offsets [0, 64], but shape [18446744073709551615] of U8 takes "
        "18446744073709551615 bytes");
}

TEST_CASE("offsets must lie in the file and fit the shape") {
  const auto offsets_refusal = [](const std::string& offsets) {
    return tensor_refusal(R"({"dtype": "F32", "shape": [16], "data_offsets": )" + offsets + "}");
  };
  CHECK(offsets_refusal("[64, 0]") == "tensor \"t\": data_offsets [64, 0], expected begin <= end");
  CHECK(offsets_refusal("[0, 65]") ==
        "tensor \"t\": data_offsets [0, 65], but the file has 64 bytes of data");
  CHECK(offsets_refusal("[18446744073709551552, 18446744073709551615]") ==
        "tensor \"t\": data_offsets [18446744073709551552, 18446744073709551615], but the file has 64 bytes "
        "of data");
  CHECK(offsets_refusal("[0, 60]") ==
        "tensor \"t\": data_offsets [0, 60], but shape [16] of F32 takes 64 bytes");
}

TEST_CASE("tensors must cover the data exactly once") {
  const auto two = [](const std::string& a, const std::string& b) {
    return header_refusal(R"({"a": {"dtype": "U8", "shape": [32], "data_offsets": )" + a +
                              R"(}, "b": {"dtype": "U8", "shape": [32], "data_offsets": )" + b + "}}",
                          64);
  };
  CHECK(two("[0, 32]", "[31, 63]") ==
        "tensor \"b\": overlaps another one: begins at byte 31 of the data, expected 32");
  CHECK(two("[0, 32]", "[0, 32]") ==
        "tensor \"b\": overlaps another one: begins at byte 0 of the data, expected 32");
  CHECK(header_refusal(R"({"a": {"dtype": "U8", "shape": [32], "data_offsets": [1, 33]}})", 33) ==
        "tensor \"a\": leaves a gap before it: begins at byte 1 of the data, expected 0");
  CHECK(header_refusal(R"({"a": {"dtype": "U8", "shape": [32], "data_offsets": [0, 32]}})", 33) ==
        "data: 33 bytes, but the tensors end at 32");
  CHECK(header_refusal("{}", 1) == "data: 1 bytes, but the tensors end at 0");
}

TEST_CASE("tensors must be aligned to their elements") {
  const std::string header = R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},)"
                             R"( "b": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}})";
  CHECK(header_refusal(header, 6) ==
        "tensor \"b\": starts at byte 194 of the file, expected a multiple of 4");

  // A header whose length is not padded puts everything in the wrong place.
  const std::string unpadded = R"({"b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}} )";
  REQUIRE(unpadded.size() == 62);
  CHECK(refusal(std::string("\x3e\0\0\0\0\0\0\0", 8) + unpadded + "1234") ==
        "tensor \"b\": starts at byte 70 of the file, expected a multiple of 4");
}

TEST_CASE("messages quote names from the file shortly and without control characters") {
  CHECK(header_refusal("{\"\\u001b[31m\\n\": 1}") == "tensor \"?[31m?\": 1, expected an object");
  // 79 letters and a character of two bytes: it must not be cut in half.
  CHECK(header_refusal("{\"" + std::string(79, 'x') + repeat("\xc3\xa9", 100000) + "\": 1}") ==
        "tensor \"" + std::string(79, 'x') + "...\": 1, expected an object");
}
