#include "app/inputs/path_list.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "app/base/signals.h"
#include "app/base/usage_error.h"

namespace mnv2::app {
namespace {

constexpr std::size_t kReadBytes = 65536;

[[noreturn]] void fail(const std::string& name, const std::string& reason) {
  throw UsageError("--files-from: cannot read the list " + name + ": " + reason);
}

/// Whether there is such a file when the CR at the end of `path` is left out, but not with it.
bool only_without_cr(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) != 0 && lstat(path.substr(0, path.size() - 1).c_str(), &info) == 0;
}

}  // namespace

PathList::PathList(std::string name, char separator) : name_(std::move(name)), separator_(separator) {
  if (name_ != "-") {
    // Not blocking: a FIFO whose writer has not come yet is waited for by polling, which a signal ends.
    file_ = Descriptor(open(name_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (!file_.is_open()) fail(name_, std::generic_category().message(errno));
    descriptor_ = file_.get();
  }
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) fail(name_, std::generic_category().message(errno));
  if (S_ISDIR(status.st_mode)) fail(name_, std::generic_category().message(EISDIR));
}

PathList::PathList(std::string begun, bool ended, char separator)
    : name_("-"), separator_(separator), buffer_(std::move(begun)), ended_(ended) {}

std::optional<Input> PathList::next() {
  const auto bad = [](std::string path, std::string message) {
    return Input{.path = std::move(path),
                 .error = RecordError{ErrorCode::file_unreadable, std::move(message)}};
  };
  while (std::optional<std::string> line = next_line()) {
    if (line->empty()) continue;
    if (line->size() > kMaxPathBytes) {
      line->resize(kMaxPathBytes);
      return bad(std::move(*line), "the list has a path of more than " + std::to_string(kMaxPathBytes) +
                                       " bytes, of which these are the first");
    }
    if (line->find('\0') != std::string::npos)
      return bad(std::move(*line), "the path has a NUL byte; a list with NUL between paths needs --null");
    if (line->ends_with('\r') && only_without_cr(*line)) {
      constexpr char kHint[] =
          "no such file: the list's lines end in CRLF, and the CR is no part of the name; take it off, as tr "
          "-d "
          "'\\r' does";
      return Input{.path = std::move(*line), .error = RecordError{ErrorCode::file_not_found, kHint}};
    }
    return Input{.path = std::move(*line)};
  }
  if (error_ == 0) return std::nullopt;
  return bad(name_, "cannot read the list: " + std::generic_category().message(std::exchange(error_, 0)));
}

/// The next line, without what separates it; of a line that is too long, the beginning.
std::optional<std::string> PathList::next_line() {
  std::size_t searched = begin_;
  while (true) {
    const std::size_t end = buffer_.find(separator_, searched);
    const bool is_whole = end != std::string::npos;
    const std::size_t length = (is_whole ? end : buffer_.size()) - begin_;
    if (is_whole || length > kMaxPathBytes || (ended_ && length > 0)) {
      std::string line = buffer_.substr(begin_, length);
      begin_ += is_whole ? length + 1 : length;
      // The rest of a line that was too long is no line.
      if (!std::exchange(skipping_, !is_whole)) return line;
      searched = begin_;
      continue;
    }
    if (ended_) return std::nullopt;
    buffer_.erase(0, begin_);
    begin_ = 0;
    searched = buffer_.size();
    read_more();
  }
}

void PathList::read_more() {
  const std::size_t size = buffer_.size();
  while (wait_readable(descriptor_)) {
    buffer_.resize(size + kReadBytes);
    const ssize_t count = read(descriptor_, buffer_.data() + size, kReadBytes);
    const int error = errno;
    buffer_.resize(size + static_cast<std::size_t>(count > 0 ? count : 0));
    if (count > 0) return;
    if (count < 0 && (error == EINTR || error == EAGAIN)) continue;  // somebody else was quicker
    error_ = count < 0 ? error : 0;
    ended_ = true;
    return;
  }
  // Stopped: the piece of a line that is there may be a part of a path only.
  buffer_.clear();
  ended_ = true;
}

}  // namespace mnv2::app
