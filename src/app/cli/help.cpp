#include "app/cli/help.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <iterator>
#include <numeric>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

namespace mnv2::app {
namespace {

constexpr Example kExamples[] = {
    {"mnv2-classify image.jpg", "the five most likely classes, as JSON"},
    {"mnv2-classify photos/", "all JPEG, PNG and WebP files below"},
    {"mnv2-classify -f text -k 1 *.jpg", "for people to read"},
    {"find . -name '*.jpg' | mnv2-classify -", "a list on stdin, results as it comes"},
    {"mnv2-classify --bench", "how fast is it here"},
};

// Those of the short help.
constexpr std::string_view kBriefFlags[] = {"--model",   "--top-k", "--format", "--output", "--html",
                                            "--threads", "--eval",  "--bench",  "--help"};

/// What other tools call a flag, and what it is here.
struct Alias {
  std::string_view name;
  const char* hint;
};
constexpr Alias kAliases[] = {
    {"-r", "folders are walked to their depth without a flag; --max-depth N limits it"},
    {"-R", "folders are walked to their depth without a flag; --max-depth N limits it"},
    {"--recursive", "folders are walked to their depth without a flag; --max-depth N limits it"},
    {"-j", "did you mean -t, --threads?"},
    {"--jobs", "did you mean -t, --threads?"},
    {"--workers", "did you mean -t, --threads?"},
    {"-V", "did you mean --version?"},
    {"-n", "did you mean -k, --top-k?"},
    {"--top", "did you mean -k, --top-k?"},
    {"--topn", "did you mean -k, --top-k?"},
    {"--weights", "did you mean -m, --model?"},
    {"--checkpoint", "did you mean -m, --model?"},
    {"--json", "did you mean -f json?"},
    {"--csv", "did you mean -f csv?"},
    {"--benchmark", "did you mean --bench?"},
    {"--threshold", "did you mean --min-prob?"},
    {"--gpu", "this program computes on the CPU"},
    {"--cuda", "this program computes on the CPU"},
    {"--device", "this program computes on the CPU"},
};

constexpr char kIntroduction[] = "Tell what is in images, with MobileNetV2 on the CPU.\n\n";
constexpr char kUsage[] = "\nUsage: mnv2-classify [FLAGS] FILE-OR-FOLDER...\n";

constexpr const char* kConclusion[] = {
    "Results go to stdout or --output: one record for each input, in the order given, also for a file that "
    "cannot be classified (\"status\":\"error\"). Messages go to stderr.",
    "Exit status: 0 all good, 1 some input failed, 2 usage, 3 the model cannot be used, 4 results could not "
    "be written, 130 or 143 stopped by a signal."};

constexpr std::size_t kMeaningColumn = 42;      // where the examples' meanings begin
constexpr std::size_t kDescriptionColumn = 26;  // where the flags' descriptions begin
constexpr std::size_t kChoiceColumn = 10;       // where choices go on that do not fit into one line
constexpr std::size_t kLeastWidth = 80;

/// `text` from column `column` of a line on, broken between words before column `width`; each line after the first is
/// indented to `column`.
std::string wrapped(const std::string& text, std::size_t column, std::size_t width) {
  std::string out;
  std::size_t at = column;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (at > column && at + 1 + word.size() > width) {
      out += "\n" + std::string(column, ' ');
      at = column;
    } else if (at > column) {
      out += ' ';
      ++at;
    }
    out += word;
    at += word.size();
  }
  return out + "\n";
}

/// `left`, then `text` from `column` on: on a line of its own where `left` is too long.
std::string two_columns(std::string left, const std::string& text, std::size_t column, std::size_t width) {
  if (left.size() + 1 > column)
    left += "\n" + std::string(column, ' ');
  else
    left.resize(column, ' ');
  return left + wrapped(text, column, width);
}

/// `choices` after `names`, broken after a "|" where a line would pass `width`.
std::string with_choices(const std::string& names, const std::vector<std::string>& choices,
                         std::size_t width) {
  std::string out;
  std::string line = names + " ";
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const std::string word = choices[i] + (i + 1 < choices.size() ? "|" : "");
    if (line.size() + word.size() > width) {
      out += line + "\n";
      line.assign(kChoiceColumn, ' ');
    }
    line += word;
  }
  return out + line;
}

std::string flag_names(const Flag& flag, std::size_t width) {
  const std::string names = (flag.short_name.empty() ? "      " : "  " + flag.short_name + ", ") + flag.name;
  if (const auto choices = flag.choices(); !choices.empty()) return with_choices(names, choices, width);
  return flag.value.empty() ? names : names + " " + flag.value;
}

}  // namespace

std::size_t help_width() {
  winsize size{};
  if (isatty(STDOUT_FILENO) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return kLeastWidth;
  return std::max<std::size_t>(kLeastWidth, size.ws_col);
}

std::vector<std::string> Flag::choices() const {
  std::vector<std::string> words;
  const bool is_word =
      !value.empty() && value[0] >= 'a' && value[0] <= 'z';  // what stands for a value is in capitals
  if (!is_word) return words;
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

std::string help_text(const CLI::App& app, HelpLength length, std::size_t width) {
  const bool full = length == HelpLength::full;
  const auto shown = [&](const Flag& flag) {
    return full ||
           std::find(std::begin(kBriefFlags), std::end(kBriefFlags), flag.name) != std::end(kBriefFlags);
  };
  const auto description = [&](const Flag& flag) {
    return full || flag.name == "--help" ? flag.description
                                         : flag.description.substr(0, flag.description.find(';'));
  };
  std::string text = kIntroduction;
  for (const Example& example : examples())
    text += two_columns(std::string("  ") + example.command, example.meaning, kMeaningColumn, width);
  text += kUsage;
  if (!full) text += "\n";
  for (const FlagGroup& group : flag_groups(app)) {
    if (full) text += "\n" + group.name + ":\n";
    for (const Flag& flag : group.flags)
      if (shown(flag))
        text += two_columns(flag_names(flag, width), description(flag), kDescriptionColumn, width);
  }
  if (!full) return text + "\nAll flags: mnv2-classify --help, or man mnv2-classify.\n";
  for (const char* paragraph : kConclusion) text += "\n" + wrapped(paragraph, 0, width);
  return text;
}

std::string unknown_flag_message(const CLI::App& app, const std::string& argument) {
  const std::string name = argument.substr(0, argument.find('='));
  for (const Alias& alias : kAliases)
    if (name == alias.name) return "unknown flag '" + argument + "'; " + alias.hint;
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
