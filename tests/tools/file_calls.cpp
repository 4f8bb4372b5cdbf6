// A library to preload: writes down fsync() and rename() in the order in which a program calls them, and makes calls
// fail. MNV2_CALLS names the file to append to; MNV2_FAIL_RENAME ends the target of renames that fail with EIO;
// MNV2_FAIL_CALLS lists functions that always fail, with the errno: "flock=38,link=1".
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

namespace {

void note(const std::string& line) {
  const char* const path = std::getenv("MNV2_CALLS");
  if (path == nullptr) return;
  const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return;
  const std::string text = line + "\n";
  (void)!write(fd, text.data(), text.size());
  close(fd);
}

std::string path_of(int fd) {
  char path[PATH_MAX];
  const ssize_t size = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
  return {path, size < 0 ? 0 : static_cast<std::size_t>(size)};
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

/// Sets errno where `name` is to fail.
bool fails(const std::string& name) {
  const char* const calls = std::getenv("MNV2_FAIL_CALLS");
  if (calls == nullptr) return false;
  const std::string list = "," + std::string(calls), wanted = "," + name + "=";
  const std::size_t at = list.find(wanted);
  if (at == std::string::npos) return false;
  errno = std::atoi(list.c_str() + at + wanted.size());
  return true;
}

}  // namespace

extern "C" int flock(int fd, int operation) noexcept {
  return fails("flock") ? -1 : next<int (*)(int, int)>("flock")(fd, operation);
}

extern "C" int futimens(int fd, const timespec* times) noexcept {
  return fails("futimens") ? -1 : next<int (*)(int, const timespec*)>("futimens")(fd, times);
}

extern "C" int link(const char* from, const char* to) noexcept {
  return fails("link") ? -1 : next<int (*)(const char*, const char*)>("link")(from, to);
}

extern "C" int renameat2(int from_folder, const char* from, int to_folder, const char* to,
                         unsigned flags) noexcept {
  using Function = int (*)(int, const char*, int, const char*, unsigned);
  return fails("renameat2") ? -1 : next<Function>("renameat2")(from_folder, from, to_folder, to, flags);
}

/// Where it is to fail, another library is looked for, so that the dynamic loader gives the reason.
extern "C" void* dlopen(const char* name, int flags) noexcept {
  return next<void* (*)(const char*, int)>("dlopen")(fails("dlopen") ? "no-such-library.so" : name, flags);
}

extern "C" int fsync(int fd) {
  note("fsync " + path_of(fd));
  return next<int (*)(int)>("fsync")(fd);
}

extern "C" int rename(const char* from, const char* to) noexcept {
  note("rename " + std::string(from) + " " + to);
  if (fails("rename")) return -1;
  const char* const failing = std::getenv("MNV2_FAIL_RENAME");
  if (failing != nullptr && std::string_view(to).ends_with(failing)) {
    errno = EIO;
    return -1;
  }
  return next<int (*)(const char*, const char*)>("rename")(from, to);
}
