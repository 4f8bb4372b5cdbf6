// Strict JSON for untrusted files: bounded depth and size, no duplicate keys, and objects whose keys are all
// known.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "mnv2/error.h"

namespace mnv2::model {

using Json = nlohmann::json;

/// Error{invalid_model} with the message "`where`: `what`".
[[noreturn]] void fail(const std::string& where, const std::string& what);

/// A text from the file, for a message: in quotes, shortened, without control characters.
std::string quote(std::string_view text);

/// A value from the file, for a message.
std::string describe(const Json& value);

/// @param where names the text in messages.
/// @throws Error{invalid_model} when it is not JSON (RFC 8259, UTF-8), nests deeper than 16, repeats a
/// key, or has more than 262144 values.
Json parse_json(std::string_view text, const std::string& where);

/// A JSON object that must have the given keys, and no others but the optional ones.
class Fields {
 public:
  /// @throws Error{invalid_model} when `json` is no object, or a key is missing or unknown: it may be a
  /// feature of a newer program, which this one would get wrong by ignoring it.
  Fields(const Json& json, std::string where, std::initializer_list<std::string_view> keys,
         std::initializer_list<std::string_view> optional_keys = {});

  bool has(const char* key) const { return json_.contains(key); }

  const Json& operator[](const char* key) const { return json_[key]; }
  const std::string& where() const { return where_; }

  /// The value of `key` as an integer in [min, max]. @throws Error{invalid_model}
  int integer(const char* key, int min, int max) const;
  /// @throws Error{invalid_model}
  const std::string& string(const char* key) const;
  bool boolean(const char* key) const;
  const Json& array(const char* key) const;

  /// Error{invalid_model}: `where`: "key" is `value`, expected `expected`.
  [[noreturn]] void fail_value(const char* key, const std::string& expected) const;

 private:
  const Json& json_;
  std::string where_;
};

}  // namespace mnv2::model
