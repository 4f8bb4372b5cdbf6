// Descriptors that are read to their end while they are written: pipes, and what comes on stdin.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/inputs/source.h"

namespace mnv2::app {

/// A descriptor with what has been read of it already. Waiting for more ends with a signal to stop.
class Stream {
 public:
  /// Does not own `descriptor`.
  explicit Stream(int descriptor) : descriptor_(descriptor) {}

  /// What has been read and not taken.
  const std::string& beginning() const { return beginning_; }
  /// For a pipe that is not blocking and of which nothing has been read: whether there is or was somebody to write into
  /// it. Of a FIFO that nobody has opened the end would be waited for, maybe for ever.
  bool has_writer();
  /// Gives that away.
  std::string take() { return std::exchange(beginning_, {}); }
  /// Reads what is there, waiting for the first byte of it. @return false at the end, for an error and when the wait was
  /// ended; see error(), stopped()
  bool read_more();
  /// The errno that reading ended with, 0 where it did not.
  int error() const { return error_; }
  bool stopped() const { return stopped_; }

  /// All bytes to the end, at most `max_bytes`; nothing when the wait was ended.
  /// @throws Error{image_too_large, file_unreadable}
  std::optional<std::vector<std::uint8_t>> read_all(std::int64_t max_bytes);

 private:
  int descriptor_;
  std::string beginning_;
  int error_ = 0;
  bool stopped_ = false;
};

/// The rest of `stream` as the content of the input called `path`, or its error; nothing when the wait was ended.
std::optional<Input> input_of(Stream& stream, const std::string& path);

/// Whether `path` is a pipe, such as the shell's <(command) or one that mkfifo made.
bool is_pipe(const std::string& path);

}  // namespace mnv2::app
