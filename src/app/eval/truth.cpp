#include "app/eval/truth.h"

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "app/base/log.h"
#include "app/base/usage_error.h"
#include "app/inputs/walker.h"

namespace mnv2::app {
namespace {

namespace fs = std::filesystem;

/// The names of the folders in `root`, sorted bytewise, without hidden ones.
std::vector<std::string> folders_in(const std::string& root, const ExcludeRules& exclude) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(root, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    std::string name = entry->path().filename().string();
    if (name[0] != '.' && entry->is_directory(ignored) && !exclude.exclude(name, true))
      names.push_back(std::move(name));
  }
  if (error) throw UsageError("--eval: " + root + ": " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

std::map<std::string, int> classes_of(const std::string& root, const ExcludeRules& exclude,
                                      const ClassNames& names, int num_classes) {
  const std::vector<std::string> folders = folders_in(root, exclude);
  if (folders.empty())
    throw UsageError("--eval: " + root + ": no folder in it; expected one for each class, or --truth FILE");
  std::map<std::string, int> classes;
  std::string unknown;
  for (const std::string& folder : folders) {
    std::optional<int> index;
    try {
      index = names.try_find(folder);
    } catch (const UsageError& e) {
      throw UsageError("--eval: " + root + "/" + folder + ": " + e.what());
    }
    if (index)
      classes[folder] = *index;
    else if (unknown.empty())
      unknown = folder;
  }
  if (unknown.empty()) return classes;
  if (classes.empty() && folders.size() == static_cast<std::size_t>(num_classes)) {
    log_info("--eval: " + root + ": the n-th folder is class n");
    for (std::size_t i = 0; i < folders.size(); ++i) classes[folders[i]] = static_cast<int>(i);
    return classes;
  }
  throw UsageError("--eval: " + root + "/" + unknown +
                   ": a folder of no class of the model; expected a label or an index, or exactly " +
                   std::to_string(num_classes) + " folders, one for each class in order");
}

/// The first of `wanted` that is in `header`, and where.
std::optional<std::size_t> find_column(const std::vector<std::string>& header,
                                       std::initializer_list<std::string_view> wanted) {
  for (const std::string_view name : wanted) {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found != header.end()) return static_cast<std::size_t>(found - header.begin());
  }
  return std::nullopt;
}

}  // namespace

FolderTruth::FolderTruth(std::unique_ptr<InputSource> inputs, std::vector<std::string> roots,
                         const ExcludeRules& exclude, const ClassNames& names, int num_classes)
    : inputs_(std::move(inputs)) {
  for (std::string& root : roots) {
    std::map<std::string, int> classes = classes_of(root, exclude, names, num_classes);
    root = with_one_slash(root + "/");
    roots_.push_back({std::move(root), std::move(classes)});
  }
  // The longest first: of a folder and one in it, the inner one is the root of what is below it.
  std::stable_sort(roots_.begin(), roots_.end(),
                   [](const Root& a, const Root& b) { return a.prefix.size() > b.prefix.size(); });
}

std::optional<Input> FolderTruth::next() {
  std::optional<Input> input = inputs_->next();
  if (!input) return input;
  for (const Root& root : roots_) {
    if (input->path.compare(0, root.prefix.size(), root.prefix) != 0) continue;
    const std::size_t end = input->path.find('/', root.prefix.size());
    if (end == std::string::npos) break;  // right in the root: of no class
    const auto found = root.classes.find(input->path.substr(root.prefix.size(), end - root.prefix.size()));
    if (found != root.classes.end()) input->truth = found->second;
    break;
  }
  return input;
}

TableTruth::TableTruth(const std::string& flag, const std::string& table, const std::string& folder,
                       ClassNames names)
    : flag_(flag),
      table_(table),
      folder_(folder.empty() ? fs::path(table).parent_path().string() : folder),
      names_(std::move(names)),
      reader_(flag, table) {
  if (!folder_.empty() && folder_.back() != '/') folder_ += '/';
  read_header();
}

void TableTruth::read_header() {
  first_ = reader_.next();
  if (!first_) throw UsageError(flag_ + ": " + table_ + ": no rows; expected a path and a class in each");
  const auto path = find_column(*first_, {"file", "path", "filename", "image"});
  const auto name = find_column(*first_, {"class_index", "index", "class", "label", "class_name", "target"});
  if (!path && !name) return;  // no header: paths and classes from the first line on
  if (!path || !name)
    throw UsageError(
        flag_ + ": " + table_ + ": the first line names a column for the " +
        (path ? "path, but none for the class (class_index, index, class, label, class_name or target)"
              : "class, but none for the path (file, path, filename or image)"));
  path_column_ = *path;
  class_column_ = *name;
  first_ = reader_.next();
  if (!first_) throw UsageError(flag_ + ": " + table_ + ": no rows below the names of the columns");
}

std::optional<Input> TableTruth::next() {
  const std::optional<std::vector<std::string>> row =
      first_ ? std::exchange(first_, std::nullopt) : reader_.next();
  if (!row) return std::nullopt;
  const std::string where = flag_ + ": " + table_ + ", line " + std::to_string(reader_.line()) + ": ";
  const std::size_t columns = std::max(path_column_, class_column_) + 1;
  if (row->size() < columns)
    throw UsageError(where + std::to_string(row->size()) + " columns, expected at least " +
                     std::to_string(columns));
  const std::string& path = (*row)[path_column_];
  if (path.empty()) throw UsageError(where + "the path is empty");
  Input input{.path = path[0] == '/' ? path : folder_ + path};
  try {
    input.truth = names_.find((*row)[class_column_]);
  } catch (const UsageError& e) {
    throw UsageError(where + e.what());
  }
  return input;
}

}  // namespace mnv2::app
