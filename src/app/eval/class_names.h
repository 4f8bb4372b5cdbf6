// From what people call classes to their indexes.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace mnv2::app {

/// Finds classes by label, by label without regard to case, spaces, '_' and '-', by the name of their folder (see
/// class_folders), or by index.
class ClassNames {
 public:
  /// @param labels one per class, or empty: then there are only indexes.
  ClassNames(std::span<const std::string> labels, int num_classes);

  /// @throws UsageError that says what was expected, or that the name belongs to several classes: ImageNet
  /// has two called "crane".
  int find(const std::string& name) const;

  /// The class, or nothing for a name that belongs to none.
  /// @throws UsageError for a name that belongs to several
  std::optional<int> try_find(const std::string& name) const;

 private:
  using Indexes = std::unordered_map<std::string, std::vector<int>>;  // name -> classes

  int num_classes_;
  Indexes exact_;
  Indexes folded_;
  std::unordered_map<std::string, int> folders_;
};

}  // namespace mnv2::app
