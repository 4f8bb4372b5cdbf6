#include "app/inputs/archive_reader.h"

#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "app/base/signals.h"
#include "mnv2/error.h"

namespace mnv2::app {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{1} << 17;
constexpr std::size_t kTarBlock = 512;

/// Names in UTF-8 for this thread: the library translates those of pax tars and zips to the locale's characters, and the
/// program has none of its own.
class Utf8Names {
 public:
  Utf8Names() : before_(uselocale(utf8())) {}
  ~Utf8Names() { uselocale(before_); }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  static locale_t utf8() {
    static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return locale;  // null: nothing is changed
  }
  locale_t before_;
};

}  // namespace

ArchiveReader::ArchiveReader() : library_(ArchiveLibrary::get()), handle_(library_.read_new()) {
  if (handle_ == nullptr) throw std::bad_alloc();
  // Not all that the library knows: some of its filters start other programs.
  library_.read_support_filter_gzip(handle_);
  library_.read_support_filter_bzip2(handle_);
  library_.read_support_filter_xz(handle_);
  library_.read_support_filter_zstd(handle_);
  library_.read_support_format_tar(handle_);
  library_.read_support_format_zip(handle_);
  // Shards that an object store's "cat" sends one after the other.
  library_.read_set_format_option(handle_, "tar", "read_concatenated_archives", "1");
}

ArchiveReader::ArchiveReader(const std::string& path) : ArchiveReader() {
  file_ = Descriptor(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  struct stat info {};
  if (!file_.is_open() || fstat(file_.get(), &info) != 0) {
    const bool is_missing = errno == ENOENT || errno == ENOTDIR;
    throw Error(is_missing ? ErrorCode::file_not_found : ErrorCode::file_unreadable,
                "cannot open the archive: " + std::generic_category().message(errno));
  }
  if (!S_ISREG(info.st_mode))
    throw Error(ErrorCode::file_unreadable, "cannot open the archive: expected a regular file");
  const Utf8Names names;
  check_open(library_.read_open_fd(handle_, file_.get(), kBlockBytes));
}

ArchiveReader::ArchiveReader(Stream& stream) : ArchiveReader() {
  stream_ = &stream;
  const Utf8Names names;
  check_open(library_.read_open(handle_, this, nullptr, read_stream, nullptr));
}

void ArchiveReader::check_open(int status) const {
  if (status != ArchiveLibrary::kOk)
    throw Error(ErrorCode::file_unreadable, "cannot open the archive: " + error());
}

ssize_t ArchiveReader::read_stream(archive*, void* client, const void** out) {
  auto& reader = *static_cast<ArchiveReader*>(client);
  Stream& stream = *reader.stream_;
  if (stream.beginning().empty()) stream.read_more();
  reader.tail_.append(reader.block_, reader.block_.size() - std::min(kTarBlock, reader.block_.size()));
  reader.tail_.erase(0, reader.tail_.size() - std::min(kTarBlock, reader.tail_.size()));
  reader.block_ = stream.take();
  *out = reader.block_.data();
  return stream.error() != 0 ? -1 : static_cast<ssize_t>(reader.block_.size());
}

ArchiveReader::Found ArchiveReader::next() {
  const Utf8Names names;
  while (!stopped()) {
    const int status = library_.read_next_header(handle_, &entry_);
    if (status == ArchiveLibrary::kEof) return Found::end;
    if (status < ArchiveLibrary::kWarn) return Found::failure;
    // A block that is no header: the library looks for the next one, a block at a time.
    const bool is_damage = status == ArchiveLibrary::kRetry;
    const bool was_damage = std::exchange(in_damage_, is_damage);
    if (!is_damage) return Found::member;
    if (!was_damage) return Found::damage;
  }
  return Found::end;
}

std::string ArchiveReader::name() const {
  const Utf8Names names;
  const char* name = library_.entry_pathname(entry_);
  if (name == nullptr) name = library_.entry_pathname_utf8(entry_);
  return name == nullptr ? "" : name;
}

mode_t ArchiveReader::type() const {
  return library_.entry_hardlink(entry_) != nullptr ? S_IFLNK : library_.entry_filetype(entry_);
}

std::string ArchiveReader::link_target() const {
  const Utf8Names names;
  const char* target = library_.entry_hardlink(entry_);
  if (target == nullptr) target = library_.entry_symlink(entry_);
  return target == nullptr ? "" : target;
}

std::optional<std::int64_t> ArchiveReader::size() const {
  if (library_.entry_size_is_set(entry_) == 0) return std::nullopt;
  return library_.entry_size(entry_);
}

ssize_t ArchiveReader::read(char* out, std::size_t bytes) {
  std::size_t done = 0;
  while (done < bytes && !stopped()) {
    const ssize_t got = library_.read_data(handle_, out + done, bytes - done);
    if (got < 0) return -1;
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return static_cast<ssize_t>(done);
}

std::string ArchiveReader::error() const {
  if (stream_ != nullptr && stream_->error() != 0) return std::generic_category().message(stream_->error());
  const char* const text = library_.error_string(handle_);
  return text == nullptr ? "no reason is known" : text;
}

bool ArchiveReader::stopped() const {
  return stop_signal() != 0 || (stream_ != nullptr && stream_->stopped());
}

bool ArchiveReader::lacks_end_mark() const {
  const bool is_plain_tar =
      (library_.format(handle_) & ArchiveLibrary::kFormatMask) == ArchiveLibrary::kFormatTar &&
      library_.filter_code(handle_, 0) == 0;
  if (!is_plain_tar) return false;
  std::string tail = tail_ + block_;
  if (stream_ == nullptr) {
    const off_t size = lseek(file_.get(), 0, SEEK_END);
    tail.resize(kTarBlock);
    const ssize_t got =
        pread(file_.get(), tail.data(), kTarBlock, std::max<off_t>(size - off_t{kTarBlock}, 0));
    tail.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  }
  tail.erase(0, tail.size() - std::min(kTarBlock, tail.size()));
  return tail.size() < kTarBlock || tail.find_first_not_of('\0') != std::string::npos;
}

}  // namespace mnv2::app
