#include "app/cli/help.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <numeric>
#include <sstream>
#include <utility>
#include <vector>

namespace mnv2::app {
namespace {

constexpr Example kExamples[] = {
    {"mnv2-classify image.jpg", "the five most likely classes, as JSON"},
    {"mnv2-classify photos/", "every JPEG, PNG and WebP below, one JSON object a line"},
    {"mnv2-classify -f text -k 1 *.jpg", "for people to read"},
    {"find . -name '*.jpg' | mnv2-classify -", "a list on stdin, results as it comes"},
    {"mnv2-classify --bench", "how fast is it here"},
};

constexpr char kIntroduction[] = "Tell what is in images, with MobileNetV2 on the CPU.\n\n";
constexpr char kUsage[] = "\nUsage: mnv2-classify [FLAGS] FILE-OR-FOLDER...\n";

constexpr char kConclusion[] =
    R"(
Results go to stdout or --output: one record for each input, in the order given, also for a file that cannot be
classified ("status":"error"). Messages go to stderr.
Exit status: 0 all good, 1 some input failed, 2 usage, 3 the model cannot be used,
4 results could not be written, 130 or 143 stopped by a signal.
)";

constexpr std::size_t kMeaningColumn = 42;      // where the examples' meanings begin
constexpr std::size_t kDescriptionColumn = 26;  // where the flags' descriptions begin

std::string help_line(const Flag& flag) {
  std::string line = (flag.short_name.empty() ? "      " : "  " + flag.short_name + ", ") + flag.name;
  if (!flag.value.empty()) line += " " + flag.value;
  if (line.size() >= kDescriptionColumn) line += "\n" + std::string(kDescriptionColumn, ' ');
  line.resize(std::max(kDescriptionColumn, line.size()), ' ');
  return line + flag.description + "\n";
}

}  // namespace

std::vector<std::string> Flag::choices() const {
  std::vector<std::string> words;
  if (value.find('|') == std::string::npos) return words;
  std::istringstream list(value);
  for (std::string word; std::getline(list, word, '|');) words.push_back(word);
  return words;
}

std::vector<FlagGroup> flag_groups(const CLI::App& app) {
  std::vector<FlagGroup> groups;
  for (const std::string& group : app.get_groups()) {
    FlagGroup made{.name = group, .flags = {}};
    for (const CLI::Option* option :
         app.get_options([&](const CLI::Option* each) { return each->get_group() == group; })) {
      made.flags.push_back(
          {.name = "--" + option->get_lnames().front(),
           .short_name = option->get_snames().empty() ? "" : "-" + option->get_snames().front(),
           .value = option->get_type_size() == 0 ? "" : option->get_type_name(),
           .description = option->get_description()});
    }
    if (!made.flags.empty()) groups.push_back(std::move(made));
  }
  return groups;
}

std::span<const Example> examples() { return kExamples; }

std::string help_text(const CLI::App& app) {
  std::string text = kIntroduction;
  for (const Example& example : examples()) {
    std::string line = std::string("  ") + example.command;
    line.resize(std::max(kMeaningColumn, line.size() + 2), ' ');
    text += line + example.meaning + "\n";
  }
  text += kUsage;
  for (const FlagGroup& group : flag_groups(app)) {
    text += "\n" + group.name + ":\n";
    for (const Flag& flag : group.flags) text += help_line(flag);
  }
  return text + kConclusion;
}

std::string unknown_flag_message(const CLI::App& app, const std::string& argument) {
  const std::string name = argument.substr(0, argument.find('='));
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 4) + 1;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& long_name : option->get_lnames()) {
      const std::string flag = "--" + long_name;
      // A part counts as near: "--form" means --format and "--exif" --no-exif, though they are some edits
      // away.
      const bool is_part = name.size() > 5 && flag.find(name.substr(2)) != std::string::npos;
      const std::size_t distance = is_part ? 1 : edit_distance(name, flag);
      if (distance < best_distance) {
        best = flag;
        best_distance = distance;
      }
    }
  }
  return "unknown flag '" + argument + "'" + (best.empty() ? "" : "; did you mean " + best + "?");
}

std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);  // distances from a's beginning so far to each beginning of b
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace mnv2::app
