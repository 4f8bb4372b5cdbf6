// The manual page and the shells' completions, as texts made from the table of flags.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "app/cli/help.h"

namespace mnv2::app {

/// mnv2-classify(1), in roff with the man macros.
/// @param date of the page, YYYY-MM-DD.
std::string man_page(std::span<const FlagGroup> groups, std::string_view version, std::string_view date);

/// Files for the folders where bash-completion, zsh and fish look.
std::string bash_completion(std::span<const FlagGroup> groups);
std::string zsh_completion(std::span<const FlagGroup> groups);
std::string fish_completion(std::span<const FlagGroup> groups);

/// What a flag's value is, as far as completions care.
enum class ValueKind { none, choice, model, file, folder, other };

inline ValueKind value_kind(const Flag& flag) {
  if (flag.value.empty()) return ValueKind::none;
  if (!flag.choices().empty()) return ValueKind::choice;
  if (flag.value == "MODEL") return ValueKind::model;
  if (flag.value.starts_with("FILE")) return ValueKind::file;
  return flag.value == "DIR" ? ValueKind::folder : ValueKind::other;
}

/// Words with blanks between them.
inline std::string spaced(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace mnv2::app
