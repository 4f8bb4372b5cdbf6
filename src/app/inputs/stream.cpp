#include "app/inputs/stream.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include "app/base/signals.h"
#include "app/image/read_file.h"
#include "mnv2/error.h"

namespace mnv2::app {

bool Stream::has_writer() {
  char byte = 0;
  const ssize_t count = read(descriptor_, &byte, 1);
  if (count > 0) beginning_ += byte;
  return count != 0;
}

bool Stream::read_more() {
  constexpr std::size_t kReadBytes = 65536;
  const std::size_t size = beginning_.size();
  while (wait_readable(descriptor_)) {
    beginning_.resize(size + kReadBytes);
    const ssize_t count = read(descriptor_, beginning_.data() + size, kReadBytes);
    const int error = errno;
    beginning_.resize(size + static_cast<std::size_t>(count > 0 ? count : 0));
    if (count > 0) return true;
    if (count < 0 && (error == EINTR || error == EAGAIN)) continue;  // somebody else was quicker
    error_ = count < 0 ? error : 0;
    return false;
  }
  stopped_ = true;
  return false;
}

std::optional<std::vector<std::uint8_t>> Stream::read_all(std::int64_t max_bytes) {
  std::vector<std::uint8_t> bytes;
  do {
    bytes.insert(bytes.end(), beginning_.begin(), beginning_.end());
    beginning_.clear();
    if (static_cast<std::int64_t>(bytes.size()) > max_bytes)
      throw Error(ErrorCode::image_too_large,
                  "more than " + std::to_string(max_bytes) + " bytes came, expected at most as many");
  } while (read_more());
  if (stopped_) return std::nullopt;
  if (error_ != 0)
    throw Error(ErrorCode::file_unreadable, "cannot read it: " + std::generic_category().message(error_));
  return bytes;
}

std::optional<Input> input_of(Stream& stream, const std::string& path) {
  const auto failed = [&](ErrorCode code, const std::string& message) {
    return Input{.path = path, .error = RecordError{code, message}};
  };
  try {
    std::optional<std::vector<std::uint8_t>> bytes = stream.read_all(image::kMaxFileBytes);
    if (!bytes) return std::nullopt;
    return Input{.path = path,
                 .content = std::make_shared<const std::vector<std::uint8_t>>(*std::move(bytes))};
  } catch (const Error& e) {
    return failed(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    return failed(ErrorCode::out_of_memory, "no memory for what comes");
  }
}

bool is_pipe(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISFIFO(info.st_mode);
}

}  // namespace mnv2::app
