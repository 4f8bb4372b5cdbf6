#include "app/results/output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "app/base/log.h"

namespace mnv2::app {

Output::Output(int fd, std::string name, bool continued)
    : fd_(fd), is_terminal_(isatty(fd) == 1), name_(std::move(name)), continued_(continued) {}

void Output::write(std::string_view text) {
  if (!is_terminal_) return write_all(text);
  write_without_status([&] { write_all(text); });
}

void Output::write_all(std::string_view text) {
  while (state_ == State::open && !text.empty()) {
    const ssize_t written = ::write(fd_, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {  // somebody made the descriptor non-blocking: wait for room
      pollfd room{fd_, POLLOUT, 0};
      poll(&room, 1, -1);
    } else if (errno != EINTR) {
      fail(errno);
    }
  }
}

void Output::finish() {
  // Closing a duplicate reports what closing the descriptor would, and leaves it usable.
  if (state_ != State::open) return;
  const int copy = dup(fd_);
  if (copy < 0 || close(copy) != 0) fail(errno);
}

void Output::fail(int error) {
  if (state_ != State::open) return;
  state_ = error == EPIPE ? State::closed : State::failed;
  error_ = "cannot write " + name_ + ": " + std::generic_category().message(error);
}

}  // namespace mnv2::app
