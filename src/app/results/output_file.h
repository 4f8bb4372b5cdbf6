// A file that a flag names, which never looks whole before it is.
#pragma once

#include <optional>
#include <string>

#include "app/base/descriptor.h"
#include "app/results/output.h"

namespace mnv2::app {

/// The output of one run to FILE. It is written as FILE.part in the same folder, and takes FILE's place when
/// it is complete. When the run is cut short FILE stays as it was, and FILE.part too if there is anything in
/// it.
///
/// A link is followed: the file that it points to is replaced. FILE gets the permissions that it had, a new
/// one those of the umask. A FIFO, a device and what /dev/stdout or /dev/fd/N stand for are written straight
/// into.
class OutputFile {
 public:
  /// @param flag for messages.
  /// @throws UsageError for an empty name or a folder, Error{file_unreadable} where nothing can be written or
  /// another run is writing to the same file.
  OutputFile(const std::string& flag, const std::string& path);
  /// As finish(false).
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  Output& output() { return *output_; }
  const Output& output() const { return *output_; }
  int descriptor() const { return fd_; }
  /// Whether there is a FILE.part; otherwise it is written straight into.
  bool has_part() const { return !part_.empty(); }

  /// Puts the file in place if `complete` and all was written, else says where the results so far are. Errors
  /// show in output().
  void finish(bool complete);

 private:
  void lock_old(const std::string& flag);
  void open_part(const std::string& flag);
  void put_in_place();
  void copy_in_place();
  void leave();

  std::string path_;  // where links lead to
  std::string part_;  // FILE.part, empty for what is written straight into
  Descriptor old_;    // at path_ when the run began, locked as long as it is open
  int fd_ = -1;
  bool finished_ = false;
  std::optional<Output> output_;
};

/// Where `path` leads to when links are followed, also when nothing is there yet.
/// @throws Error{file_unreadable} for links in a circle
std::string follow_links(const std::string& path);

}  // namespace mnv2::app
