#include "app/signals.h"

#include <atomic>
#include <csignal>

namespace mnv2::app {
namespace {

// What a handler may touch must be global; lock-free, so safe in a handler and between threads.
std::atomic<int> noted_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);

void note(int signal) { noted_signal.store(signal, std::memory_order_relaxed); }

}  // namespace

void install_signal_handlers() {
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

}  // namespace mnv2::app
