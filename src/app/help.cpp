#include "app/help.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <numeric>
#include <vector>

namespace mnv2::app {
namespace {

constexpr char kIntroduction[] =
    R"(Tell what is in images, with MobileNetV2 on the CPU.

  mnv2-classify image.jpg                 the five most likely classes, as JSON
  mnv2-classify photos/                   every JPEG and PNG below, one JSON object a line
  mnv2-classify -f text -k 1 *.jpg        for people to read
  find . -name '*.jpg' | mnv2-classify -  a list on stdin, results as it comes
  mnv2-classify --bench                   how fast is it here

Usage: mnv2-classify [FLAGS] FILE-OR-FOLDER...
)";

constexpr char kConclusion[] =
    R"(
Results go to stdout or --output: one record for each input, in the order given, also for a file that cannot be
classified ("status":"error"). Messages go to stderr.
Exit status: 0 all good, 1 some input failed, 2 usage, 3 the model cannot be used,
130 or 143 stopped by a signal.
)";

constexpr std::size_t kColumn = 26;  // where descriptions begin

}  // namespace

std::string help_text(const CLI::App& app) {
  std::string text = kIntroduction;
  for (const std::string& group : app.get_groups()) {
    const std::vector<const CLI::Option*> flags =
        app.get_options([&](const CLI::Option* option) { return option->get_group() == group; });
    if (flags.empty()) continue;
    text += "\n" + group + ":\n";
    for (const CLI::Option* flag : flags) {
      std::string line = flag->get_snames().empty() ? "      " : "  -" + flag->get_snames().front() + ", ";
      line += "--" + flag->get_lnames().front();
      if (flag->get_type_size() != 0) line += " " + flag->get_type_name();
      line.resize(std::max(kColumn, line.size() + 1), ' ');
      text += line + flag->get_description() + "\n";
    }
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
