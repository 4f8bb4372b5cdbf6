#include "app/results/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "app/base/log.h"
#include "app/base/signals.h"
#include "app/base/usage_error.h"
#include "app/results/lock.h"
#include "mnv2/error.h"

namespace mnv2::app {
namespace {

[[noreturn]] void fail(const std::string& flag, const std::string& path, int error) {
  throw Error(ErrorCode::file_unreadable,
              flag + ": cannot write " + path + ": " + std::generic_category().message(error));
}

/// The descriptor that /dev/fd/N or /proc/self/fd/N stands for, -1 for any other path.
int descriptor_named(const std::filesystem::path& path) {
  const std::string folder = path.parent_path(), name = path.filename();
  if (folder != "/dev/fd" && folder != "/proc/self/fd") return -1;
  if (name.empty() || name.size() > 6 ||
      !std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return -1;
  return std::stoi(name);
}

bool is_still_at(int fd, const std::string& path) {
  struct stat open_file {
  }, named{};
  return fstat(fd, &open_file) == 0 && stat(path.c_str(), &named) == 0 && open_file.st_dev == named.st_dev &&
         open_file.st_ino == named.st_ino;
}

}  // namespace

std::string follow_links(const std::string& path) {
  constexpr int kMaxLinks = 40;  // as Linux
  std::filesystem::path at = path;
  for (int i = 0; i < kMaxLinks; ++i) {
    std::error_code error;
    if (descriptor_named(at) >= 0) return at;
    const std::filesystem::path target = std::filesystem::read_symlink(at, error);
    if (error) return at;
    at = target.is_absolute() ? target : at.parent_path() / target;
  }
  throw Error(ErrorCode::file_unreadable, path + ": " + std::generic_category().message(ELOOP));
}

OutputFile::OutputFile(const std::string& flag, const std::string& path) {
  if (path.empty()) throw UsageError(flag + ": the file name is empty");
  path_ = follow_links(path);
  struct stat info {};
  const bool exists = stat(path_.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) throw UsageError(flag + ": " + path + " is a folder, expected a file");
  if (path_.ends_with('/')) throw UsageError(flag + ": " + path + " names a folder, expected a file");
  if (const int named = descriptor_named(path_); named >= 0) {
    fd_ = fcntl(named, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);  // opening it anew would begin at its start
  } else if (exists && !S_ISREG(info.st_mode)) {
    fd_ = open_interruptibly(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
  } else {
    // Renaming would replace a file that may not be written; who protects a file does not expect that.
    if (exists && access(path_.c_str(), W_OK) != 0) fail(flag, path, errno);
    if (exists) lock_old(flag);
    open_part(flag);
    if (exists && fchmod(fd_, info.st_mode & 07777) != 0) log_info(path + ": its permissions cannot be kept");
  }
  if (fd_ < 0) fail(flag, path, errno);
  output_.emplace(fd_, has_part() ? part_ : path);
}

/// Keeps who goes on with FILE (see Journal) and who replaces it apart.
void OutputFile::lock_old(const std::string& flag) {
  old_ = Descriptor(open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (old_.is_open() && lock_file(old_.get(), path_) == Lock::held)
    throw Error(ErrorCode::file_unreadable, flag + ": another run is writing to " + path_);
}

void OutputFile::open_part(const std::string& flag) {
  part_ = path_ + ".part";
  while (true) {
    // Not through a link: in a shared folder somebody may have laid one.
    fd_ = open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (fd_ < 0) fail(flag, part_, errno);
    struct stat info {};
    int error = 0;
    if (const Lock lock = lock_file(fd_, part_); lock != Lock::taken) {
      error = lock == Lock::held ? EWOULDBLOCK : errno;
    } else if (fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
      error = EEXIST;
    } else if (is_still_at(fd_, part_)) {
      if (info.st_size > 0) log_warning(part_ + ": replaced, what an earlier run left when it was cut short");
      if (ftruncate(fd_, 0) == 0) return;
      error = errno;
    }  // else another run has just put it in place: that file is not ours
    if (error != EWOULDBLOCK && fstat(fd_, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == 0 &&
        is_still_at(fd_, part_))
      (void)unlink(part_.c_str());  // nobody's, and of no use
    close(fd_);
    fd_ = -1;
    if (error == EWOULDBLOCK)
      throw Error(ErrorCode::file_unreadable, flag + ": another run is writing to " + part_);
    if (error != 0) fail(flag, part_, error);
  }
}

OutputFile::~OutputFile() { finish(false); }

void OutputFile::finish(bool complete) {
  if (finished_) return;
  finished_ = true;
  if (fd_ < 0) return;
  if (has_part()) {
    if (complete) put_in_place();
    if (!complete || output_->state() != Output::State::open) leave();
  }
  if (close(fd_) != 0 && complete) output_->fail(errno);
}

void OutputFile::put_in_place() {
  if (output_->state() != Output::State::open) return;
  // Before the new name: after a power cut a whole file or the old one must be there, not an empty one.
  if (fsync(fd_) != 0 && errno != EINVAL && errno != EROFS) return output_->fail(errno);
  if (std::rename(part_.c_str(), path_.c_str()) == 0) return;
  if (errno != EBUSY) return output_->fail(errno);
  // FILE is a mount point, as of a file that is bound into a container: it cannot be replaced, but it can be written.
  copy_in_place();
}

/// Until all is copied FILE.part stays, so that nothing is lost when the copy is cut short.
void OutputFile::copy_in_place() {
  const Descriptor to(open(path_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (!to.is_open()) return output_->fail(errno);
  std::array<char, 65536> buffer;
  off_t at = 0;
  while (true) {
    const ssize_t got = pread(fd_, buffer.data(), buffer.size(), at);
    if (got < 0) return output_->fail(errno);
    if (got == 0) break;
    for (ssize_t done = 0; done < got;) {
      const ssize_t written = write(to.get(), buffer.data() + done, static_cast<std::size_t>(got - done));
      if (written < 0) return output_->fail(errno);
      done += written;
    }
    at += got;
  }
  if (fsync(to.get()) != 0 && errno != EINVAL && errno != EROFS) return output_->fail(errno);
  (void)unlink(part_.c_str());
}

void OutputFile::leave() {
  struct stat info {};
  const bool is_kept = fstat(fd_, &info) == 0 && info.st_size > 0;
  if (!is_kept) (void)unlink(part_.c_str());
  const bool exists = access(path_.c_str(), F_OK) == 0;
  log_warning(path_ + (exists ? ": left as it was" : ": not made") + ", the run is not complete; " +
              (is_kept ? "what it has so far is in " + part_ : "it has nothing so far"));
}

}  // namespace mnv2::app
