#include "app/inputs/named_source.h"

#include <algorithm>

#include "app/inputs/walker.h"

namespace mnv2::app {
namespace {

constexpr char kStdin[] = "-";

}  // namespace

bool NamedInputs::has_list() const {
  return files_from || std::find(paths.begin(), paths.end(), kStdin) != paths.end();
}

bool NamedInputs::single_file() const {
  return paths.size() == 1 && !has_list() && !is_folder(paths.front());
}

NamedSource::NamedSource(const NamedInputs& named) : paths_(named.paths) {
  const char separator = named.null_separated ? '\0' : '\n';
  if (std::find(paths_.begin(), paths_.end(), kStdin) != paths_.end())
    stdin_list_ = std::make_unique<PathList>(kStdin, separator);
  if (named.files_from) files_from_ = std::make_unique<PathList>(*named.files_from, separator);
}

std::optional<Input> NamedSource::next() {
  while (true) {
    if (in_list_) {
      if (std::optional<Input> input = stdin_list_->next()) return input;
      in_list_ = false;
    }
    if (next_path_ == paths_.size()) return files_from_ ? files_from_->next() : std::nullopt;
    std::string& path = paths_[next_path_++];
    if (path != kStdin) return Input{.path = std::move(path)};
    in_list_ = true;
  }
}

}  // namespace mnv2::app
