#include "app/inputs/named_source.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "app/inputs/file_kinds.h"
#include "app/inputs/stream.h"
#include "app/inputs/walker.h"

namespace mnv2::app {
namespace {

constexpr char kStdin[] = "-";

}  // namespace

bool NamedInputs::has_list() const {
  return files_from || std::find(paths.begin(), paths.end(), kStdin) != paths.end();
}

bool NamedInputs::single_file() const {
  return paths.size() == 1 && !has_list() && !is_folder(paths.front()) &&
         !has_archive_extension(paths.front());
}

bool NamedInputs::can_be_read_twice() const {
  std::error_code ignored;
  if (std::any_of(paths.begin(), paths.end(),
                  [](const std::string& path) { return path == kStdin || is_pipe(path); }))
    return false;
  return !files_from || std::filesystem::is_regular_file(*files_from, ignored);
}

NamedSource::NamedSource(const NamedInputs& named, const WalkRules& rules, Warn warn)
    : rules_(rules), warn_(std::move(warn)), paths_(named.paths) {
  const char separator = named.null_separated ? '\0' : '\n';
  if (std::find(paths_.begin(), paths_.end(), kStdin) != paths_.end())
    stdin_ = std::make_unique<StandardInput>(separator, rules_, warn_);
  if (named.files_from) files_from_ = std::make_unique<PathList>(*named.files_from, separator);
}

std::optional<Input> NamedSource::next() {
  while (true) {
    if (being_read_) {
      if (std::optional<Input> input = being_read_->next()) return input;
      being_read_.reset();
    }
    if (next_path_ == paths_.size()) return files_from_ ? files_from_->next() : std::nullopt;
    std::string& path = paths_[next_path_++];
    if (path == kStdin)
      being_read_ = std::move(stdin_);
    else if (is_pipe(path))
      being_read_ = std::make_unique<PipeInput>(std::move(path), rules_, warn_);
    else
      return Input{.path = std::move(path)};
  }
}

}  // namespace mnv2::app
