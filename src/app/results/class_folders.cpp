#include "app/results/class_folders.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <unordered_map>

#include "app/models/labels.h"

namespace mnv2::app {
namespace {

constexpr std::size_t kMaxBytes = 200;  // of 255, so that an index fits behind it

std::string safe_name(std::string name) {
  constexpr std::string_view kUnsafe = "/\\:*?\"<>|\x7f";
  for (char& c : name)
    if (static_cast<unsigned char>(c) < 0x20 || kUnsafe.find(c) != std::string_view::npos) c = '_';
  if (name.size() > kMaxBytes) {
    std::size_t end = kMaxBytes;
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80)
      --end;  // not inside a character
    name.resize(end);
  }
  if (!name.empty() && name.front() == '.') name.front() = '_';
  if (!name.empty() && (name.back() == '.' || name.back() == ' ')) name.back() = '_';
  return name;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

}  // namespace

std::vector<std::string> class_folders(std::span<const std::string> labels, int num_classes) {
  std::vector<std::string> names;
  for (int index = 0; index < num_classes; ++index) {
    names.push_back(safe_name(label_of(labels, index)));
    if (names.back().empty()) names.back() = label_of({}, index);
  }
  // More than once: a label may be called as another is with its index.
  for (bool any_alike = true; any_alike;) {
    any_alike = false;
    std::unordered_map<std::string, int> counts;
    for (const std::string& name : names) ++counts[lower(name)];
    for (std::size_t index = 0; index < names.size(); ++index) {
      if (counts[lower(names[index])] == 1) continue;
      names[index] += " (" + std::to_string(index) + ")";
      any_alike = true;
    }
  }
  return names;
}

}  // namespace mnv2::app
