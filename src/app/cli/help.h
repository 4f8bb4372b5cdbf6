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
  std::string value;        // what follows it: "N", "FILE", "json|text"; empty: nothing
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

/// -h: a screenful, with the flags that most people use; --help: all of them.
enum class HelpLength { brief, full };

/// Examples first, then the flags by group, in lines of at most `width` columns, broken between words.
std::string help_text(const CLI::App& app, HelpLength length, std::size_t width);

/// 80, or the columns of the terminal that stdout is when it has more.
std::size_t help_width();

/// Says that `argument` is no flag, and which flag may have been meant.
std::string unknown_flag_message(const CLI::App& app, const std::string& argument);

/// Levenshtein's distance: how many characters to insert, delete or replace to get from `a` to `b`.
std::size_t edit_distance(const std::string& a, const std::string& b);

}  // namespace mnv2::app
