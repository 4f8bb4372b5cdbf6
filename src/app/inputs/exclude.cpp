#include "app/inputs/exclude.h"

#include <fnmatch.h>

#include <algorithm>
#include <span>

#include "app/base/usage_error.h"

namespace mnv2::app {
namespace {

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (end > 0) parts.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

/// Whether the whole of `names` is as the patterns say.
bool match(std::span<const std::string> patterns, std::span<const std::string> names) {
  if (patterns.empty()) return names.empty();
  if (patterns.front() == "**") {
    for (std::size_t skipped = 0; skipped <= names.size(); ++skipped)
      if (match(patterns.subspan(1), names.subspan(skipped))) return true;
    return false;
  }
  return !names.empty() && fnmatch(patterns.front().c_str(), names.front().c_str(), 0) == 0 &&
         match(patterns.subspan(1), names.subspan(1));
}

}  // namespace

ExcludeRules::ExcludeRules(const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    Rule rule{.parts = split(pattern),
              .is_anchored = pattern.starts_with('/'),
              .folders_only = pattern.ends_with('/')};
    if (rule.parts.empty()) throw UsageError("--exclude: '" + pattern + "' names nothing");
    rules_.push_back(std::move(rule));
  }
}

bool ExcludeRules::exclude(std::string_view path, bool is_folder) const {
  if (rules_.empty()) return false;
  const std::vector<std::string> names = split(path);
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    if (rule.folders_only && !is_folder) return false;
    if (rule.is_anchored) return match(rule.parts, names);
    for (std::size_t skipped = 0; skipped < names.size(); ++skipped)
      if (match(rule.parts, std::span(names).subspan(skipped))) return true;
    return false;
  });
}

}  // namespace mnv2::app
