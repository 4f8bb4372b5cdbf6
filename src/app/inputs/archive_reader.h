// One archive, read once from its beginning to its end.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "app/base/descriptor.h"
#include "app/inputs/archive_library.h"
#include "app/inputs/stream.h"

namespace mnv2::app {

/// The members of a tar (plain, gzip, zstd, xz, bzip2; also several, one after the other) or a zip, in its order. Waiting
/// for more of it ends with a signal to stop.
class ArchiveReader {
 public:
  /// @throws Error{file_not_found, file_unreadable, unsupported_format}
  explicit ArchiveReader(const std::string& path);
  /// Of what comes through `stream`, which outlives this. @throws the same
  explicit ArchiveReader(Stream& stream);
  ~ArchiveReader() { library_.read_free(handle_); }
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  enum class Found {
    member,
    damage,   ///< error() tells; what comes after it can be read
    failure,  ///< error() tells; nothing more can be read
    end,
  };

  /// Goes to the next member.
  Found next();

  /// Of the member: its name in UTF-8, or in whatever bytes it has.
  std::string name() const;
  /// File type as in st_mode; of a hard link S_IFLNK, too.
  mode_t type() const;
  /// What a link leads to.
  std::string link_target() const;
  /// Bytes, where the archive says it before them.
  std::optional<std::int64_t> size() const;
  /// Reads up to `bytes` of its data. @return how many: fewer at the end, or when stopped(); -1 for an error
  ssize_t read(char* out, std::size_t bytes);

  std::string error() const;
  /// Whether a signal has ended the reading.
  bool stopped() const;
  /// At the end of an uncompressed tar: whether it lacks the NULs that tar writes there.
  bool lacks_end_mark() const;

 private:
  ArchiveReader();
  static ssize_t read_stream(archive*, void* client, const void** out);
  void check_open(int status) const;

  const ArchiveLibrary& library_;
  archive* handle_;
  Descriptor file_;
  Stream* stream_ = nullptr;
  std::string block_ = {};  // of the stream, lent to the library
  std::string tail_ = {};   // the last bytes before it
  archive_entry* entry_ = nullptr;
  bool in_damage_ = false;
};

}  // namespace mnv2::app
