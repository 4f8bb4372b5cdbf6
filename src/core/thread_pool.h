// A pool of threads for one image: forks at each stage of the network and joins at its end.
#pragma once

#include <memory>

namespace mnv2 {

/// Runs the parts of a job on several threads. Workers spin for some microseconds between jobs, because the next stage
/// of a network comes at once, then sleep, so that an idle pool uses no CPU. Parts are claimed, not assigned: a worker
/// that another process keeps from its core claims none, and the caller does its parts instead of waiting for it.
class ThreadPool {
 public:
  /// `threads` includes the caller of run(): ThreadPool(1) starts none.
  /// @throws std::system_error when a thread cannot be started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  /// Calls job(part, thread) once for each part in [0, parts), from the calling thread (number 0) and the workers
  /// (numbers 1 to threads() - 1), each thread one part at a time; returns when all have returned. `job` must not
  /// throw. At most max_parts() parts. One caller at a time. A thread prefers the parts at its place in the order: the
  /// same thread gets the same parts of one job after another unless it is held up.
  template <typename Job>
  void run(int parts, const Job& job) {
    run(
        parts, [](const void* j, int part, int thread) { (*static_cast<const Job*>(j))(part, thread); },
        &job);
  }

  static constexpr int kMaxPartsPerThread = 4;
  int max_parts() const;  // threads() * kMaxPartsPerThread

 private:
  using Call = void (*)(const void* job, int part, int thread);
  void run(int parts, Call call, const void* job);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mnv2
