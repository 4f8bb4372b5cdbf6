#include "app/inputs/named_source.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "app/base/descriptor.h"
#include "app/inputs/stream.h"
#include "app/inputs/walker.h"
#include "mnv2/error.h"

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

bool NamedInputs::can_be_read_twice() const {
  std::error_code ignored;
  if (std::any_of(paths.begin(), paths.end(),
                  [](const std::string& path) { return path == kStdin || is_pipe(path); }))
    return false;
  return !files_from || std::filesystem::is_regular_file(*files_from, ignored);
}

NamedSource::NamedSource(const NamedInputs& named) : paths_(named.paths) {
  const char separator = named.null_separated ? '\0' : '\n';
  if (std::find(paths_.begin(), paths_.end(), kStdin) != paths_.end())
    stdin_ = std::make_unique<StandardInput>(separator);
  if (named.files_from) files_from_ = std::make_unique<PathList>(*named.files_from, separator);
}

std::optional<Input> NamedSource::next() {
  while (true) {
    if (in_stdin_) {
      if (std::optional<Input> input = stdin_->next()) return input;
      in_stdin_ = false;
    }
    if (next_path_ == paths_.size()) return files_from_ ? files_from_->next() : std::nullopt;
    std::string& path = paths_[next_path_++];
    if (path == kStdin) {
      in_stdin_ = true;
    } else if (is_pipe(path)) {
      return read_pipe(path);
    } else {
      return Input{.path = std::move(path)};
    }
  }
}

std::optional<Input> NamedSource::read_pipe(const std::string& path) {
  const Descriptor pipe(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!pipe.is_open())
    return Input{.path = path,
                 .error = RecordError{ErrorCode::file_unreadable,
                                      "cannot open the file: " + std::generic_category().message(errno)}};
  Stream stream(pipe.get());
  if (!stream.has_writer())
    return Input{.path = path,
                 .error = RecordError{ErrorCode::file_unreadable,
                                      "the path is a FIFO that nobody writes to, expected a regular file"}};
  return input_of(stream, path);
}

}  // namespace mnv2::app
