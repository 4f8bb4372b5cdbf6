#include "app/image/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <new>
#include <span>
#include <string>
#include <system_error>

#include "app/base/descriptor.h"
#include "app/image/header.h"
#include "mnv2/error.h"

namespace mnv2::image {
namespace {

using app::Descriptor;

/// Not blocking, because opening a FIFO that nobody writes to would wait for ever.
Descriptor open_file(const std::filesystem::path& path) {
  return Descriptor(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

[[noreturn]] void fail_open(int error) {
  const std::string reason = std::generic_category().message(error);
  if (error == ENOENT || error == ENOTDIR)
    throw Error(ErrorCode::file_not_found, "cannot open the file: " + reason);
  throw Error(ErrorCode::file_unreadable, "cannot open the file: " + reason);
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

struct stat status_of(int descriptor) {
  struct stat status;
  if (::fstat(descriptor, &status) != 0) fail_open(errno);
  return status;
}

std::int64_t checked_size(int descriptor, std::int64_t max_bytes) {
  const struct stat status = status_of(descriptor);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::file_unreadable,
                std::string("the path is ") + kind_of(status.st_mode) + ", expected a regular file");
  }
  if (status.st_size > max_bytes) {
    throw Error(ErrorCode::image_too_large, "the file has " + std::to_string(status.st_size) +
                                                " bytes, expected at most " + std::to_string(max_bytes));
  }
  return status.st_size;
}

/// Reads until `out` is full or the file ends. @return bytes read
std::size_t read_all(int descriptor, std::span<std::uint8_t> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = ::read(descriptor, out.data() + done, out.size() - done);
    if (count > 0) {
      done += static_cast<std::size_t>(count);
    } else if (count == 0) {
      break;
    } else if (errno != EINTR) {
      throw Error(ErrorCode::file_unreadable,
                  "cannot read the file: " + std::generic_category().message(errno));
    }
  }
  return done;
}

}  // namespace

std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::int64_t max_bytes,
                                    const std::function<void(std::int64_t bytes)>& before_reading) {
  const Descriptor file = open_file(path);
  if (!file.is_open()) fail_open(errno);
  const auto size = static_cast<std::size_t>(checked_size(file.get(), max_bytes));
  if (before_reading) before_reading(static_cast<std::int64_t>(size));
  try {
    // One byte more than the size: a file that grew (or claims no size, as in /proc) fills it.
    std::vector<std::uint8_t> bytes(size + 1);
    const std::size_t done = read_all(file.get(), bytes);
    if (done > size) {
      throw Error(ErrorCode::file_unreadable,
                  "the file grew beyond " + std::to_string(size) + " bytes while it was read");
    }
    bytes.resize(done);  // a file that shrank is judged by what is there
    return bytes;
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::out_of_memory, "no memory for the file's " + std::to_string(size) + " bytes");
  }
}

bool begins_as_image(const std::filesystem::path& path) {
  const Descriptor file = open_file(path);
  if (!file.is_open() && (errno == ENOENT || errno == ENOTDIR || errno == ENXIO))
    return false;  // ENXIO: a socket
  if (!file.is_open()) fail_open(errno);
  if (!S_ISREG(status_of(file.get()).st_mode)) return false;
  std::array<std::uint8_t, kSignatureBytes> start;
  return begins_as_image(std::span(start).first(read_all(file.get(), start)));
}

}  // namespace mnv2::image
