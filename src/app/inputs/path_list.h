// Lists of paths, read while they are being written.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <string>

#include "app/base/descriptor.h"
#include "app/inputs/source.h"

namespace mnv2::app {

/// Hands out the paths of a list, each as soon as its separator (or the end of the list) has been read. Bytes
/// are taken as they are; empty lines are skipped. What cannot be a path, and a list that cannot be read to
/// its end, are inputs with an error. Waiting for more ends with a signal to stop.
class PathList : public InputSource {
 public:
  /// @param name a file, also a FIFO; "-" is stdin.
  /// @param separator what stands after each path: '\n' or '\0'.
  /// @throws UsageError when it cannot be opened, or is a folder
  PathList(std::string name, char separator);
  /// Goes on with the list on stdin of which `begun` has been read. @param ended whether nothing more will come.
  PathList(std::string begun, bool ended, char separator);

  std::optional<Input> next() override;

  /// Longer ones are errors: memory is bounded also for a "list" that has no lines. Linux takes 4095 bytes.
  static constexpr std::size_t kMaxPathBytes = 65536;

 private:
  std::optional<std::string> next_line();
  void read_more();

  std::string name_;
  char separator_;
  Descriptor file_;  // closed for stdin
  int descriptor_ = STDIN_FILENO;
  std::string buffer_;     // read and not handed out yet, from begin_ on
  std::size_t begin_ = 0;  // in buffer_
  bool skipping_ = false;  // the rest of a line that was too long
  bool ended_ = false;     // nothing more will be read
  int error_ = 0;          // why, when that was too early: an errno
};

}  // namespace mnv2::app
