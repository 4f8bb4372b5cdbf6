// Threads that do the same thing at the same time.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mnv2::app {

/// Runs a job on several threads at once, again and again. Between jobs the threads sleep, so that they take
/// nothing from what is measured meanwhile.
class Crew {
 public:
  /// @param size how many threads, the caller of run() included. @throws std::system_error
  explicit Crew(int size);

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls job(i) once for each i in [0, size()), job(0) on the calling thread; returns when all have
  /// returned. `job` must not throw. One caller at a time.
  void run(const std::function<void(int)>& job);

 private:
  void serve(const std::stop_token& stop, int index);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  const std::function<void(int)>* job_ = nullptr;
  std::size_t jobs_ = 0;               // begun so far
  int busy_ = 0;                       // workers that have not finished the last one
  std::vector<std::jthread> workers_;  // last, so that they end before what they use
};

}  // namespace mnv2::app
