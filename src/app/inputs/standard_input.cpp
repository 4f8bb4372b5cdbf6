#include "app/inputs/standard_input.h"

#include <fcntl.h>

#include <cerrno>
#include <span>
#include <system_error>
#include <utility>

#include "app/image/header.h"
#include "app/inputs/archive.h"
#include "app/inputs/file_kinds.h"
#include "app/inputs/path_list.h"
#include "mnv2/error.h"

namespace mnv2::app {
namespace {

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

enum class Kind { image, archive, other };

/// What comes through `stream`, of which no more is read than it takes to tell. @param ended set at its end
Kind kind_of(Stream& stream, bool may_be_archive, bool& ended) {
  while (true) {
    const auto bytes = bytes_of(stream.beginning());
    if (image::begins_as_image(bytes)) return Kind::image;
    const Beginning archive = may_be_archive ? archive_beginning(stream.beginning()) : Beginning::other;
    if (archive == Beginning::archive) return Kind::archive;
    if (archive == Beginning::other && !image::may_begin_image(bytes)) return Kind::other;
    ended = !stream.read_more();
    if (ended) return Kind::other;
  }
}

}  // namespace

StandardInput::StandardInput(char separator, const WalkRules& rules, Warn warn)
    : separator_(separator), rules_(rules), warn_(std::move(warn)) {
  const PathList check("-", separator);  // the message is the list's
}

std::optional<Input> StandardInput::next() {
  if (source_) return source_->next();
  if (ended_) return std::nullopt;
  bool at_end = false;
  // A list with NULs between paths begins as a tar does.
  const Kind kind = kind_of(stream_, separator_ == '\n', at_end);
  ended_ = stream_.stopped() || kind == Kind::image;
  if (stream_.stopped()) return std::nullopt;
  if (kind == Kind::image) return input_of(stream_, "-");
  if (kind == Kind::archive)
    source_ = std::make_unique<ArchiveMembers>("-", stream_, rules_, warn_);
  else
    source_ = std::make_unique<PathList>(stream_.take(), at_end, separator_);
  return source_->next();
}

PipeInput::PipeInput(std::string path, const WalkRules& rules, Warn warn)
    : path_(std::move(path)),
      rules_(rules),
      warn_(std::move(warn)),
      pipe_(open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)),
      open_error_(pipe_.is_open() ? 0 : errno),
      stream_(pipe_.get()) {}

std::optional<Input> PipeInput::next() {
  if (archive_) return archive_->next();
  if (std::exchange(ended_, true)) return std::nullopt;
  const auto failed = [&](const std::string& message) {
    return Input{.path = path_, .error = RecordError{ErrorCode::file_unreadable, message}};
  };
  if (open_error_ != 0)
    return failed("cannot open the file: " + std::generic_category().message(open_error_));
  if (!stream_.has_writer())
    return failed("the path is a FIFO that nobody writes to, expected a regular file");
  bool at_end = false;
  if (kind_of(stream_, true, at_end) != Kind::archive) return input_of(stream_, path_);
  archive_ = std::make_unique<ArchiveMembers>(path_, stream_, rules_, warn_);
  return archive_->next();
}

}  // namespace mnv2::app
