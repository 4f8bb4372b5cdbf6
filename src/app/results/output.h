// Results on their way out: whole texts to a file descriptor, and how that went.
#pragma once

#include <string>
#include <string_view>

namespace mnv2::app {

/// A file descriptor for results. Not buffered: each text is one write where the kernel takes it whole.
class Output {
 public:
  enum class State {
    open,
    closed,  ///< the reader has gone (EPIPE), which is its right
    failed,  ///< a full disk or the like; error() tells
  };

  /// Does not own `fd`.
  /// @param name for messages.
  /// @param continued whether it has records already, from an earlier run.
  explicit Output(int fd, std::string name = "the results", bool continued = false);

  /// Writes all of `text`, or nothing more once the state is not open.
  void write(std::string_view text);

  /// Hands what was written to the file system: some errors (quota, network) show only here.
  void finish();

  /// From now on the state is failed, or closed for EPIPE, if it was open.
  void fail(int error);

  State state() const { return state_; }
  const std::string& error() const { return error_; }
  bool continued() const { return continued_; }

 private:
  void write_all(std::string_view text);

  int fd_;
  bool is_terminal_;
  std::string name_;
  bool continued_;
  State state_ = State::open;
  std::string error_;
};

}  // namespace mnv2::app
