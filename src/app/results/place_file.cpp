#include "app/results/place_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "app/base/descriptor.h"

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

/// Whether what is called `path` is `source`, or for copies as good as it.
bool is_there(const std::string& path, const std::string& source, const struct stat& info, SortAs how) {
  struct stat there {};
  if (stat(path.c_str(), &there) != 0) return false;  // a link to nothing
  if (there.st_dev == info.st_dev && there.st_ino == info.st_ino) return true;
  return how == SortAs::copy && S_ISREG(there.st_mode) && there.st_size == info.st_size &&
         same_bytes(path, source);
}

/// Not std::filesystem::copy_file: GCC's says "Input/output error" for a full disk.
void copy_bytes(int from, int to) {
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t got = read(from, buffer.data(), buffer.size());
    if (got == 0) return;
    if (got < 0) fail(errno, "cannot read it");
    for (ssize_t done = 0; done < got;) {
      const ssize_t written = write(to, buffer.data() + done, static_cast<std::size_t>(got - done));
      if (written < 0) fail(errno, "cannot copy it");
      done += written;
    }
  }
}

/// A copy under a name of its own, removed at the end of the scope.
class TemporaryCopy {
 public:
  TemporaryCopy(const std::string& source, const struct stat& info, const std::string& folder)
      : path_(folder + "/.mnv2-classify." + std::to_string(getpid()) + ".part") {
    (void)unlink(path_.c_str());  // of a process of the same number that was killed
    try {
      const Descriptor from(open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
      if (!from.is_open()) fail(errno, "cannot read it");
      const Descriptor to(open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
      if (!to.is_open()) fail(errno, "cannot write " + path_);
      copy_bytes(from.get(), to.get());
      const timespec times[2] = {info.st_atim, info.st_mtim};
      if (futimens(to.get(), times) != 0) fail(errno, "cannot set the time of " + path_);
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
    if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) == 0) return 0;
    // Some network file systems know no renaming without replacing; linking does not replace either.
    return errno == EINVAL || errno == ENOSYS ? link(path_.c_str(), target.c_str()) : -1;
  }

 private:
  std::string path_;
};

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
  return TemporaryCopy(source, info, folder).rename_to(target);
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

}  // namespace mnv2::app
