#include "core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <string>
#include <system_error>

#include "mnv2/error.h"

namespace mnv2 {
namespace {

struct FileDescriptor {
  int value;
  ~FileDescriptor() {
    if (value >= 0) ::close(value);
  }
};

[[noreturn]] void fail(const std::filesystem::path& path, ErrorCode code, const std::string& reason) {
  throw Error(code, path.string() + ": " + reason);
}

[[noreturn]] void fail_with_errno(const std::filesystem::path& path, int error) {
  ErrorCode code = ErrorCode::file_unreadable;
  if (error == ENOENT || error == ENOTDIR) code = ErrorCode::file_not_found;
  if (error == ENOMEM) code = ErrorCode::out_of_memory;
  fail(path, code, std::generic_category().message(error));
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO that nobody writes would wait for ever.
  const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (file.value < 0) fail_with_errno(path, errno);
  struct stat status;
  if (::fstat(file.value, &status) != 0) fail_with_errno(path, errno);
  if (S_ISDIR(status.st_mode)) fail(path, ErrorCode::file_unreadable, "a directory, expected a regular file");
  if (!S_ISREG(status.st_mode)) fail(path, ErrorCode::file_unreadable, "not a regular file");
  if (status.st_size == 0) fail(path, ErrorCode::file_unreadable, "an empty file");
  if (static_cast<std::uint64_t>(status.st_size) > std::numeric_limits<std::ptrdiff_t>::max()) {
    fail(path, ErrorCode::file_unreadable, "too large for this machine's address space");
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.value, 0);
  if (address == MAP_FAILED) fail_with_errno(path, errno);
  bytes_ = {static_cast<const std::byte*>(address), size};
}

void MappedFile::release(std::span<const std::byte> part) const noexcept {
  if (part.empty()) return;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto offset = static_cast<std::size_t>(part.data() - bytes_.data());
  const std::size_t begin = (offset + page - 1) / page * page;
  // The file's last page belongs to it whole.
  const std::size_t end =
      offset + part.size() == bytes_.size() ? bytes_.size() : (offset + part.size()) / page * page;
  // Not asked for is not lost: the pages stay until the system needs memory.
  if (begin < end) ::madvise(const_cast<std::byte*>(bytes_.data() + begin), end - begin, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace mnv2
