#include "model/file/json_fields.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace mnv2::model {
namespace {

constexpr std::size_t kMaxDepth = 16;        // ours need 5
constexpr std::size_t kMaxValues = 1 << 18;  // the tensors of 1024 blocks need 55,000
constexpr std::size_t kMaxQuotedBytes = 80;  // a longer text floods the terminal

/// Follows the parser: refuses depth before memory is spent on it, and keys that the DOM would silently
/// overwrite.
class Guard {
 public:
  explicit Guard(const std::string& where) : where_(where) {}

  void operator()(Json::parse_event_t event, const Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        if (open_.size() == kMaxDepth) {
          fail(where_, "JSON nested deeper than " + std::to_string(kMaxDepth));
        }
        open_.emplace_back();
        count_value();
        break;
      case Json::parse_event_t::object_end:
      case Json::parse_event_t::array_end: open_.pop_back(); break;
      case Json::parse_event_t::key:
        if (!open_.back().insert(parsed.get_ref<const std::string&>()).second) {
          fail(where_, "duplicate key " + describe(parsed));
        }
        break;
      case Json::parse_event_t::value: count_value(); break;
    }
  }

 private:
  /// Two bytes of text can become a hundred bytes of DOM.
  void count_value() {
    if (++values_ > kMaxValues) fail(where_, "more than " + std::to_string(kMaxValues) + " JSON values");
  }

  const std::string& where_;
  std::size_t values_ = 0;
  std::vector<std::set<std::string>> open_;  // the keys so far of each open object; none for an array
};

}  // namespace

void fail(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::invalid_model, where + ": " + what);
}

std::string quote(std::string_view text) {
  std::size_t size = std::min(text.size(), kMaxQuotedBytes);
  if (size < text.size()) {
    while (size > 0 && (text[size] & 0xc0) == 0x80) --size;  // do not cut a UTF-8 character in two
  }
  std::string result = "\"";
  for (const char c : text.substr(0, size)) {
    // Escape sequences of a terminal start with a control character.
    result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  return result + (size < text.size() ? "...\"" : "\"");
}

std::string describe(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array of " + std::to_string(value.size());
  if (value.is_string()) return quote(value.get_ref<const std::string&>());
  return value.dump();
}

Json parse_json(std::string_view text, const std::string& where) {
  Guard guard(where);
  const auto callback = [&guard](int, Json::parse_event_t event, Json& parsed) {
    guard(event, parsed);
    return true;
  };
  try {
    return Json::parse(text, callback);
  } catch (const Json::parse_error& e) {
    // Not the parser's own message: it may quote megabytes of the file.
    fail(where, "not valid JSON at byte " + std::to_string(e.byte));
  } catch (const Json::exception&) {
    fail(where, "not valid JSON: a number out of range");
  }
}

Fields::Fields(const Json& json, std::string where, std::initializer_list<std::string_view> keys,
               std::initializer_list<std::string_view> optional_keys)
    : json_(json), where_(std::move(where)) {
  if (!json.is_object()) fail(where_, describe(json) + ", expected an object");
  for (const std::string_view key : keys) {
    if (!json.contains(key)) fail(where_, "missing key " + quote(key));
  }
  for (const auto& item : json.items()) {
    const auto is_in = [&](const auto& list) {
      return std::find(list.begin(), list.end(), item.key()) != list.end();
    };
    if (!is_in(keys) && !is_in(optional_keys)) {
      fail(where_, "unknown key " + quote(item.key()));
    }
  }
}

int Fields::integer(const char* key, int min, int max) const {
  const Json& value = json_[key];
  // A float such as 3.0 is refused as well. Negative numbers are never unsigned, and all limits are positive.
  if (value.is_number_unsigned()) {
    const std::uint64_t number = value.get<std::uint64_t>();
    if (number >= static_cast<std::uint64_t>(min) && number <= static_cast<std::uint64_t>(max)) {
      return static_cast<int>(number);
    }
  }
  fail_value(key, min == max ? std::to_string(min)
                             : "an integer from " + std::to_string(min) + " to " + std::to_string(max));
}

const std::string& Fields::string(const char* key) const {
  if (!json_[key].is_string()) fail_value(key, "a string");
  return json_[key].get_ref<const std::string&>();
}

bool Fields::boolean(const char* key) const {
  if (!json_[key].is_boolean()) fail_value(key, "true or false");
  return json_[key].get<bool>();
}

const Json& Fields::array(const char* key) const {
  if (!json_[key].is_array()) fail_value(key, "an array");
  return json_[key];
}

void Fields::fail_value(const char* key, const std::string& expected) const {
  fail(where_, quote(key) + " is " + describe(json_[key]) + ", expected " + expected);
}

}  // namespace mnv2::model
