// Help and suggestions, made from the table of flags.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace mnv2::app {

/// What --help prints: examples first, then the flags by group.
std::string help_text(const CLI::App& app);

/// Says that `argument` is no flag, and which flag may have been meant.
std::string unknown_flag_message(const CLI::App& app, const std::string& argument);

/// Levenshtein's distance: how many characters to insert, delete or replace to get from `a` to `b`.
std::size_t edit_distance(const std::string& a, const std::string& b);

}  // namespace mnv2::app
