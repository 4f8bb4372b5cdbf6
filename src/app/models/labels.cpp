#include "app/models/labels.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "app/base/text_file.h"
#include "app/base/usage_error.h"

namespace mnv2::app {
namespace {

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    lines.emplace_back(line);
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

std::vector<std::string> parse_labels(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) text.remove_prefix(kByteOrderMark.size());
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  // No class is called "[...": this is JSON.
  if (start != std::string_view::npos && text[start] == '[')
    return nlohmann::json::parse(text).get<std::vector<std::string>>();
  std::vector<std::string> lines = split_lines(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].empty()) throw UsageError("line " + std::to_string(i + 1) + " is empty");
    try {
      (void)nlohmann::json(lines[i]).dump();
    } catch (const nlohmann::json::type_error&) {
      throw UsageError("line " + std::to_string(i + 1) + " is not UTF-8");
    }
  }
  return lines;
}

}  // namespace

std::vector<std::string> read_labels(const std::string& path, int num_classes) {
  const std::string text = read_text_file("--labels", path);
  std::vector<std::string> labels;
  try {
    labels = parse_labels(text);
  } catch (const nlohmann::json::exception& e) {
    throw UsageError("--labels: " + path + ": not a JSON list of strings: " + e.what());
  } catch (const UsageError& e) {
    throw UsageError("--labels: " + path + ": " + e.what());
  }
  if (labels.size() != static_cast<std::size_t>(num_classes)) {
    throw UsageError("--labels: " + path + ": " + std::to_string(labels.size()) + " labels, the model has " +
                     std::to_string(num_classes) + " classes");
  }
  return labels;
}

std::string label_of(std::span<const std::string> labels, int index) {
  if (static_cast<std::size_t>(index) < labels.size()) return labels[static_cast<std::size_t>(index)];
  return "class " + std::to_string(index);
}

}  // namespace mnv2::app
