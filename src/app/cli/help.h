// Help and suggestions, made from the table of flags.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace mnv2::app {

/// A flag as it is shown to people.
struct Flag {
  std::string name;         // "--top-k"
  std::string short_name;   // "-k", or empty
  std::string value;        // what stands behind it: "N", "FILE", "json|text"; empty: nothing
  std::string description;  // one line

  /// The words that it takes, where there is a list of them.
  std::vector<std::string> choices() const;
};

struct FlagGroup {
  std::string name;
  std::vector<Flag> flags;
};

/// All flags of the table, in its order.
std::vector<FlagGroup> flag_groups(const CLI::App& app);

/// A command line to start from.
struct Example {
  const char* command;
  const char* meaning;
};

std::span<const Example> examples();

/// What --help prints: examples first, then the flags by group.
std::string help_text(const CLI::App& app);

/// Says that `argument` is no flag, and which flag may have been meant.
std::string unknown_flag_message(const CLI::App& app, const std::string& argument);

/// Levenshtein's distance: how many characters to insert, delete or replace to get from `a` to `b`.
std::size_t edit_distance(const std::string& a, const std::string& b);

}  // namespace mnv2::app
