#include "core/thread_pool.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mnv2 {
namespace {

void cpu_pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Longer than the gap between two stages of a network (about a microsecond), shorter than a scheduler tick.
constexpr std::chrono::microseconds kSpin{50};

/// Waits until `value` is no longer `old`: spins for kSpin, then sleeps in the kernel. Returns the new value.
template <typename T>
T wait_while_equal(const std::atomic<T>& value, T old) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      const T now = value.load(std::memory_order_acquire);
      if (now != old) return now;
      cpu_pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  while (true) {
    value.wait(old, std::memory_order_acquire);
    const T now = value.load(std::memory_order_acquire);
    if (now != old) return now;
  }
}

}  // namespace

struct ThreadPool::Impl {
  // On separate cache lines: the caller writes the first, every worker writes the second.
  alignas(64) std::atomic<std::uint32_t> generation{0};
  alignas(64) std::atomic<int> running{0};
  const std::function<void(int)>* job = nullptr;  // null asks the workers to leave
  std::vector<std::thread> workers;

  void work(int index) {
    std::uint32_t seen = 0;
    while (true) {
      seen = wait_while_equal(generation, seen);
      if (job == nullptr) return;
      (*job)(index);
      if (running.fetch_sub(1, std::memory_order_acq_rel) == 1) running.notify_one();
    }
  }

  void start(const std::function<void(int)>* next) {
    job = next;
    running.store(static_cast<int>(workers.size()), std::memory_order_relaxed);
    generation.fetch_add(1, std::memory_order_release);
    generation.notify_all();
  }
};

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>()) {
  for (int i = 1; i < threads; ++i) impl_->workers.emplace_back([impl = impl_.get(), i] { impl->work(i); });
}

ThreadPool::~ThreadPool() {
  impl_->start(nullptr);
  for (std::thread& worker : impl_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(impl_->workers.size()) + 1; }

void ThreadPool::run(const std::function<void(int)>& job) {
  if (impl_->workers.empty()) return job(0);
  impl_->start(&job);
  job(0);
  for (int left = impl_->running.load(std::memory_order_acquire); left != 0;)
    left = wait_while_equal(impl_->running, left);
}

}  // namespace mnv2
