// For tests that fail by never ending.
#pragma once

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <thread>

namespace mnv2::test {

/// Runs `work` on a thread of its own. When it has not ended after `seconds`, says what was waited for and ends the
/// process: a thread that hangs cannot be joined.
template <typename Work>
void within(double seconds, const char* what, Work work) {
  std::packaged_task<void()> task(std::move(work));
  std::future<void> done = task.get_future();
  std::thread thread(std::move(task));
  if (done.wait_for(std::chrono::duration<double>(seconds)) != std::future_status::ready) {
    std::fprintf(stderr, "waited %g s for %s\n", seconds, what);
    std::fflush(stderr);
    std::_Exit(1);
  }
  thread.join();
  done.get();
}

}  // namespace mnv2::test
