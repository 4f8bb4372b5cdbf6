// --exclude: names and paths that a walk through folders leaves out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mnv2::app {

/// Patterns as the shell's (fnmatch): * ? [a-z]. Without a '/' one matches the name of a file or folder at any depth;
/// with one, the end of the path below the folder that was named, or all of it when the pattern begins with '/'. "**"
/// stands for any number of folders; a '/' at the end: folders only. What lies in a folder that is left out is left out,
/// too.
class ExcludeRules {
 public:
  ExcludeRules() = default;
  /// @throws UsageError for an empty pattern
  explicit ExcludeRules(const std::vector<std::string>& patterns);

  /// @param path below the folder that was named, without a '/' at its beginning or end.
  bool exclude(std::string_view path, bool is_folder) const;

 private:
  struct Rule {
    std::vector<std::string> parts;  // names between '/'
    bool is_anchored = false;        // to the folder that was named
    bool folders_only = false;
  };
  std::vector<Rule> rules_;
};

}  // namespace mnv2::app
