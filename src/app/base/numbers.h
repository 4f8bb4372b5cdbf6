// Numbers as flags take them: one, or a list of whole ones.
#pragma once

#include <charconv>
#include <string>
#include <type_traits>
#include <vector>

#include "app/base/usage_error.h"

namespace mnv2::app {

/// `text` as a number from min to max, in the "C" locale, without anything before or behind it.
/// @throws UsageError naming `flag`
template <typename T>
T parse_number(const std::string& flag, const std::string& text, T min, T max) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool in_range = error == std::errc() && value >= min && value <= max;  // false for NaN
  if (!in_range || end != text.data() + text.size()) {
    const std::string kind = std::is_integral_v<T> ? "a whole number" : "a number";
    const auto show = [](T limit) {
      char buffer[32];
      return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, limit).ptr);
    };
    throw UsageError(flag + ": '" + text + "' is not " + kind + " from " + show(min) + " to " + show(max));
  }
  return value;
}

/// How many numbers a list may have.
constexpr std::size_t kMaxListLength = 64;

/// Numbers and ranges with commas between them, "1,2,4" or "1-4,8", each from min to max, in the order given
/// and each once.
/// @throws UsageError naming `flag`, also for more than kMaxListLength numbers
std::vector<int> parse_number_list(const std::string& flag, const std::string& text, int min, int max);

}  // namespace mnv2::app
