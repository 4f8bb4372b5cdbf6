#include "app/models/labels.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

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

/// A class of an object: its label, or a list that ends with it, as ImageNet's ["n01440764", "tench"].
std::string label_in(const nlohmann::json& value) {
  const nlohmann::json& label = value.is_array() && !value.empty() ? value.back() : value;
  return label.get<std::string>();
}

/// {"0": "tench", "1": ...}, also as "id2label" of Hugging Face's config.json.
std::vector<std::string> labels_of_object(const nlohmann::json& object) {
  const auto inner = object.find("id2label");
  const nlohmann::json& classes = inner != object.end() && inner->is_object() ? *inner : object;
  std::vector<std::string> labels(classes.size());
  std::vector<bool> found(classes.size());
  for (const auto& [key, value] : classes.items()) {
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
    if (key.empty() || error != std::errc() || end != key.data() + key.size() || index >= labels.size() ||
        found[index])
      throw UsageError("the key '" + key + "' is no class from 0 to " + std::to_string(classes.size() - 1));
    labels[index] = label_in(value);
    found[index] = true;
  }
  return labels;
}

std::vector<std::string> parse_labels(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) text.remove_prefix(kByteOrderMark.size());
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  // No class is called "[..." or "{...": this is JSON.
  if (start != std::string_view::npos && (text[start] == '[' || text[start] == '{')) {
    const nlohmann::json json = nlohmann::json::parse(text);
    return json.is_object() ? labels_of_object(json) : json.get<std::vector<std::string>>();
  }
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
    throw UsageError("--labels: " + path +
                     ": no JSON list of strings, nor an object with a string for each class: " + e.what());
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
