#include "app/eval/class_names.h"

#include <charconv>

#include "app/base/usage_error.h"
#include "app/results/class_folders.h"

namespace mnv2::app {
namespace {

/// "Bar_chart" and "bar chart" are the same name.
std::string fold(const std::string& name) {
  std::string folded;
  for (const char c : name) {
    if (c == '_' || c == '-' || c == ' ') continue;
    folded += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return folded;
}

std::optional<int> parse_index(const std::string& text) {
  int index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return index;
}

}  // namespace

ClassNames::ClassNames(std::span<const std::string> labels, int num_classes) : num_classes_(num_classes) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    exact_[labels[i]].push_back(static_cast<int>(i));
    folded_[fold(labels[i])].push_back(static_cast<int>(i));
  }
  const std::vector<std::string> folders = class_folders(labels, num_classes);
  for (std::size_t i = 0; i < folders.size(); ++i) folders_[folders[i]] = static_cast<int>(i);
}

std::optional<int> ClassNames::try_find(const std::string& name) const {
  for (const auto& [indexes, key] : {std::pair{&exact_, name}, std::pair{&folded_, fold(name)}}) {
    const auto found = indexes->find(key);
    if (found == indexes->end()) continue;
    if (found->second.size() == 1) return found->second.front();
    throw UsageError("'" + name + "' is the name of the classes " + std::to_string(found->second[0]) +
                     " and " + std::to_string(found->second[1]) + ": name it by its index");
  }
  if (const auto folder = folders_.find(name); folder != folders_.end()) return folder->second;
  const std::optional<int> index = parse_index(name);
  if (index && *index >= 0 && *index < num_classes_) return index;
  return std::nullopt;
}

int ClassNames::find(const std::string& name) const {
  const std::optional<int> index = try_find(name);
  if (!index)
    throw UsageError("'" + name + "' is no class of the model; expected a label or an index from 0 to " +
                     std::to_string(num_classes_ - 1));
  return *index;
}

}  // namespace mnv2::app
