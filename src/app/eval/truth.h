// Inputs whose class is known: a folder for each class, or a table.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/eval/class_names.h"
#include "app/eval/csv_reader.h"
#include "app/inputs/exclude.h"
#include "app/inputs/source.h"

namespace mnv2::app {

/// Adds to each input the class of the folder that it is in, right below one of `roots`, as torchvision's
/// ImageFolder has it. A folder is named by a label or an index of the model; or, when there are as many
/// folders as classes and none of them is named so, the n-th in the order of their names is class n.
class FolderTruth : public InputSource {
 public:
  /// @param inputs the walk over `roots`, without what `exclude` leaves out.
  /// @throws UsageError for a root that is no folder, or a folder of no class
  FolderTruth(std::unique_ptr<InputSource> inputs, std::vector<std::string> roots,
              const ExcludeRules& exclude, const ClassNames& names, int num_classes);

  std::optional<Input> next() override;

 private:
  struct Root {
    std::string prefix;                  // with '/' at its end
    std::map<std::string, int> classes;  // folder -> index
  };

  std::unique_ptr<InputSource> inputs_;
  std::vector<Root> roots_;
};

/// The inputs that a table names, with their classes. One row per file: a column with its path and one with
/// its class, as index or label. With a first line that names columns, those called file, path, filename or
/// image, and class_index, index, class, label, class_name or target, in this order of preference; without,
/// the first two.
class TableTruth : public InputSource {
 public:
  /// @param folder what relative paths are relative to; empty: the table's own folder.
  /// @throws UsageError
  TableTruth(const std::string& flag, const std::string& table, const std::string& folder, ClassNames names);

  /// @throws UsageError for a row that has no such columns or names no class of the model
  std::optional<Input> next() override;

 private:
  void read_header();

  std::string flag_;
  std::string table_;
  std::string folder_;
  ClassNames names_;
  CsvReader reader_;
  std::optional<std::vector<std::string>> first_;  // the first row, where it names no columns
  std::size_t path_column_ = 0;
  std::size_t class_column_ = 1;
};

}  // namespace mnv2::app
