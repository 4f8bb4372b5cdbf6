#include "app/base/signals.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <initializer_list>

namespace mnv2::app {
namespace {

// What a handler may touch must be global; lock-free, so safe in a handler and between threads.
std::atomic<int> noted_signal{0};
std::atomic<int> waiting_ended{-1};  // an eventfd that becomes readable, and stays so
static_assert(std::atomic<int>::is_always_lock_free);

void note(int signal) {
  const int saved_errno = errno;
  noted_signal.store(signal, std::memory_order_relaxed);
  end_waiting();
  errno = saved_errno;
}

}  // namespace

void install_signal_handlers() {
  waiting_ended.store(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = note;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

int stop_signal() { return noted_signal.load(std::memory_order_relaxed); }

bool wait_readable(int descriptor) {
  pollfd events[] = {{descriptor, POLLIN, 0},
                     {waiting_ended.load(), POLLIN, 0}};  // poll skips a negative one
  while (true) {
    if (poll(events, 2, -1) < 0 && errno == EINTR) continue;
    return events[1].revents == 0;
  }
}

int open_interruptibly(const char* path, int flags) {
  struct stat info {};
  if (stat(path, &info) != 0 || !S_ISFIFO(info.st_mode)) return open(path, flags);
  int descriptor = -1;
  while ((descriptor = open(path, flags | O_NONBLOCK)) < 0 && errno == ENXIO) {  // nobody reads it yet
    constexpr int kRetryMs = 20;
    pollfd ended = {waiting_ended.load(), POLLIN, 0};
    if (poll(&ended, 1, kRetryMs) > 0) throw Stopped();
  }
  if (descriptor < 0) return -1;
  if ((flags & O_ACCMODE) == O_RDONLY && !wait_readable(descriptor)) {
    close(descriptor);
    throw Stopped();
  }
  (void)fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK);
  return descriptor;
}

void die_of(int signal) {
  std::signal(signal, SIG_DFL);
  (void)std::raise(signal);
}

void end_waiting() {
  const std::uint64_t one = 1;
  // It can fail only where it was never opened, or has been written so often that it is readable anyway.
  [[maybe_unused]] const ssize_t written = write(waiting_ended.load(), &one, sizeof one);
}

}  // namespace mnv2::app
