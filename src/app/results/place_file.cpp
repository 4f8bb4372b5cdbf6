#include "app/results/place_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

#include "app/base/descriptor.h"
#include "app/base/log.h"

namespace mnv2::app {
namespace {

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

struct stat status_of(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) fail(errno, path);
  return info;
}

/// "a.jpg", 2 -> "a-2.jpg"
std::string numbered(const std::filesystem::path& name, int number) {
  if (number == 1) return name.string();
  return name.stem().string() + "-" + std::to_string(number) + name.extension().string();
}

bool same_bytes(const std::string& a, const std::string& b) {
  std::ifstream first(a, std::ios::binary), second(b, std::ios::binary);
  return first && second &&
         std::equal(std::istreambuf_iterator<char>(first), {}, std::istreambuf_iterator<char>(second), {});
}

bool has_bytes(const std::string& path, std::span<const std::uint8_t> bytes) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  if (static_cast<std::size_t>(info.st_size) != bytes.size()) return false;
  std::ifstream file(path, std::ios::binary);
  return file && std::equal(std::istreambuf_iterator<char>(file), {}, bytes.begin(), bytes.end(),
                            [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

/// Whether what is called `path` is `source`, or for copies as good as it.
bool is_there(const std::string& path, const std::string& source, const struct stat& info, SortAs how) {
  struct stat there {};
  if (stat(path.c_str(), &there) != 0) return false;  // a link to nothing
  if (there.st_dev == info.st_dev && there.st_ino == info.st_ino) return true;
  return how == SortAs::copy && S_ISREG(there.st_mode) && there.st_size == info.st_size &&
         same_bytes(path, source);
}

void write_all(int to, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t written = write(to, bytes, size);
    if (written < 0) fail(errno, "cannot copy it");
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
}

/// Not std::filesystem::copy_file: GCC's says "Input/output error" for a full disk.
void copy_bytes(int from, int to) {
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t got = read(from, buffer.data(), buffer.size());
    if (got == 0) return;
    if (got < 0) fail(errno, "cannot read it");
    write_all(to, buffer.data(), static_cast<std::size_t>(got));
  }
}

/// A file under a name of its own, removed at the end of the scope.
class TemporaryCopy {
 public:
  /// @param write puts the bytes into the descriptor that it gets.
  template <typename Write>
  TemporaryCopy(const std::string& folder, const Write& write)
      : path_(folder + "/.mnv2-classify." + std::to_string(getpid()) + ".part") {
    (void)unlink(path_.c_str());  // of a process of the same number that was killed
    try {
      const Descriptor to(open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
      if (!to.is_open()) fail(errno, "cannot write " + path_);
      write(to.get());
    } catch (const std::system_error&) {
      (void)unlink(path_.c_str());
      throw;
    }
  }
  ~TemporaryCopy() {
    const int error = errno;  // of rename_to()
    (void)unlink(path_.c_str());
    errno = error;
  }
  TemporaryCopy(const TemporaryCopy&) = delete;
  TemporaryCopy& operator=(const TemporaryCopy&) = delete;

  /// @return 0, or -1 with errno: EEXIST when there is a file of that name
  int rename_to(const std::string& target) const {
    const auto is_unknown = [] {
      return errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM || errno == EMLINK;
    };
    if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) == 0) return 0;
    if (!is_unknown()) return -1;
    // Some network file systems know no renaming without replacing; linking does not replace either.
    if (link(path_.c_str(), target.c_str()) == 0) return 0;
    if (!is_unknown()) return -1;
    // Nor hard links: an empty file that was not there before is ours, and may be replaced. (Killed between the two calls,
    // a run leaves it: the next one puts the copy beside it.)
    const Descriptor claim(open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!claim.is_open()) return -1;
    if (std::rename(path_.c_str(), target.c_str()) == 0) return 0;
    const int error = errno;
    (void)unlink(target.c_str());
    errno = error;
    return -1;
  }

 private:
  std::string path_;
};

/// Once: it is the same for all copies in a file system.
void warn_of_times(const std::string& folder, int error) {
  static std::atomic<bool> told = false;
  if (!told.exchange(true))
    log_warning("--sort-as copy: the times of copies in " + folder +
                " cannot be set: " + std::generic_category().message(error));
}

/// @return 0, or -1 with errno: EEXIST when there is a file of that name
int create(const std::string& source, const struct stat& info, const std::string& folder,
           const std::string& target, SortAs how) {
  switch (how) {
    case SortAs::link: return linkat(AT_FDCWD, source.c_str(), AT_FDCWD, target.c_str(), AT_SYMLINK_FOLLOW);
    case SortAs::symlink: return symlink(std::filesystem::absolute(source).c_str(), target.c_str());
    case SortAs::copy: break;
  }
  struct stat there {};
  if (lstat(target.c_str(), &there) == 0) {  // before the bytes are copied for nothing
    errno = EEXIST;
    return -1;
  }
  const TemporaryCopy copy(folder, [&](int to) {
    const Descriptor from(open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!from.is_open()) fail(errno, "cannot read it");
    copy_bytes(from.get(), to);
    const timespec times[2] = {info.st_atim, info.st_mtim};
    if (futimens(to, times) != 0) warn_of_times(folder, errno);
  });
  return copy.rename_to(target);
}

}  // namespace

Placed place_file(const std::string& source, const std::string& folder, SortAs how) {
  const struct stat info = status_of(source);
  const std::filesystem::path name = std::filesystem::path(source).filename();
  for (int number = 1;; ++number) {
    const std::string target = folder + "/" + numbered(name, number);
    if (create(source, info, folder, target, how) == 0) return Placed::now;
    if (errno != EEXIST) {
      const int error = errno;
      const bool other_way =
          how == SortAs::link && (error == EXDEV || error == EPERM || error == EMLINK || error == EOPNOTSUPP);
      fail(error, std::string("cannot put it at ") + target +
                      (other_way ? " as a hard link; use --sort-as symlink or copy" : ""));
    }
    if (is_there(target, source, info, how)) return Placed::before;
  }
}

Placed place_bytes(std::span<const std::uint8_t> bytes, const std::string& path, const std::string& folder) {
  std::filesystem::path name = std::filesystem::path(path).filename();
  if (name.empty() || name == "." || name == ".." || name == "-") name = "image";
  std::optional<TemporaryCopy> copy;
  for (int number = 1;; ++number) {
    const std::string target = folder + "/" + numbered(name, number);
    struct stat there {};
    if (lstat(target.c_str(), &there) == 0) {
      if (has_bytes(target, bytes)) return Placed::before;
      continue;
    }
    if (!copy) {
      copy.emplace(folder,
                   [&](int to) { write_all(to, reinterpret_cast<const char*>(bytes.data()), bytes.size()); });
    }
    if (copy->rename_to(target) == 0) return Placed::now;
    if (errno != EEXIST) fail(errno, "cannot put it at " + target);
  }
}

}  // namespace mnv2::app
