// A pool of threads for one image: forks at each stage of the network and joins at its end.
#pragma once

#include <functional>
#include <memory>

namespace mnv2 {

/// Runs one function on several threads at once. Workers spin for some microseconds between jobs, because the next
/// stage of a network comes at once, then sleep, so that an idle pool uses no CPU.
class ThreadPool {
 public:
  /// `threads` includes the caller of run(): ThreadPool(1) starts none.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  /// Calls job(i) once for each i in [0, threads()), at the same time, job(0) on the calling thread; returns when all
  /// have returned. `job` must not throw. One caller at a time.
  void run(const std::function<void(int)>& job);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mnv2
