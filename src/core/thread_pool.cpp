#include "core/thread_pool.h"

#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/thread_placement.h"

// A test builds this file with pauses here, to see schedules that are rare (test_pool_schedules).
#ifndef MNV2_SCHEDULE_POINT
#define MNV2_SCHEDULE_POINT()
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

// Longer than one thread waits for the others between two stages of a network, also where one was late to begin:
// a thread that sleeps for a moment may wake up on the CPU of another. Shorter than a scheduler tick.
constexpr std::chrono::microseconds kSpin{200};
// With more threads than CPUs each spins in the way of another.
constexpr std::chrono::microseconds kCrowdedSpin{50};

/// Waits until `value` is no longer `old`: spins for `spin`, then sleeps in the kernel. Returns the new value.
template <typename T>
T wait_while_equal(const std::atomic<T>& value, T old, std::chrono::microseconds spin) {
  const auto deadline = std::chrono::steady_clock::now() + spin;
  do {
    for (int i = 0; i < 32; ++i) {
      const T now = value.load(std::memory_order_acquire);
      if (now != old) return now;
      cpu_pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  while (true) {
    MNV2_SCHEDULE_POINT();
    value.wait(old, std::memory_order_acquire);
    const T now = value.load(std::memory_order_acquire);
    if (now != old) return now;
  }
}

/// A job, in one word: read at once, so that number and parts belong together.
struct Ticket {
  std::uint32_t job = 0;  // counts up
  std::uint32_t parts = 0;
};

/// The last job in which a part was claimed. Claiming is one compare-and-swap; on a cache line of its own.
struct alignas(64) Claim {
  std::atomic<std::uint32_t> job{0};

  /// False when the part was claimed before, in this job or, by a caller that comes late, in a later one.
  bool take(std::uint32_t number) {
    std::uint32_t last = job.load(std::memory_order_relaxed);
    return static_cast<std::int32_t>(number - last) > 0 &&
           job.compare_exchange_strong(last, number, std::memory_order_acq_rel);
  }
};

/// The last job that a worker has noticed; on a cache line of its own.
struct alignas(64) Notice {
  std::atomic<std::uint32_t> job{0};
};

}  // namespace

struct ThreadPool::Impl {
  // On separate cache lines: what workers wait for, what the caller waits for.
  alignas(64) std::atomic<Ticket> ticket{Ticket{}};
  std::atomic<std::uint32_t> jobs{0};  // published so far
  Call call = nullptr;                 // of the current job; null asks the workers to leave
  const void* job = nullptr;
  alignas(64) std::atomic<int> unfinished{0};  // parts of the current job
  std::vector<Claim> claims;                   // [max_parts()]
  std::vector<Notice> notices;                 // [threads()]; the caller's is not used
  std::vector<std::thread> workers;
  const bool crowded;  // more threads than CPUs
  const std::chrono::microseconds spin;

  explicit Impl(int threads)
      : claims(static_cast<std::size_t>(threads) * kMaxPartsPerThread),
        notices(threads),
        crowded(threads > allowed_cpus()),
        spin(crowded ? kCrowdedSpin : kSpin) {}

  /// Does parts of the current job: first those that are this thread's by their place, whose data its cache may hold
  /// from the job before, then what the others have not begun. A job may be read only once a part of it is claimed,
  /// because then its caller waits: a worker that comes late finds all parts claimed. False: the workers are to leave.
  bool work(int thread) {
    const Ticket now = ticket.load(std::memory_order_acquire);
    MNV2_SCHEDULE_POINT();
    const auto threads = static_cast<std::uint32_t>(workers.size()) + 1;
    const std::uint32_t own = now.parts * static_cast<std::uint32_t>(thread) / threads;
    for (std::uint32_t i = 0; i < now.parts; ++i) {
      const std::uint32_t part = (own + i) % now.parts;
      if (!claims[part].take(now.job)) continue;
      MNV2_SCHEDULE_POINT();
      const bool leave = call == nullptr;
      if (!leave) call(job, static_cast<int>(part), thread);
      MNV2_SCHEDULE_POINT();
      if (unfinished.fetch_sub(1, std::memory_order_seq_cst) == 1) unfinished.notify_one();
      if (thread == 0 && !crowded) look_after_owner(part, now);
      if (leave) return false;
    }
    return true;
  }

  /// For the caller, which has done `part`: when that is another's first part, and its thread has not even noticed
  /// the job before, then that thread may be waiting for the CPU that the caller runs on. Schedulers do this to
  /// threads that wake up, and leave it so for tens of milliseconds: a virtual CPU that idles may look taken to
  /// them. A thread that stays behind, because it waits for another process, is asked less and less often.
  void look_after_owner(std::uint32_t part, Ticket now) {
    const auto threads = static_cast<std::uint32_t>(workers.size()) + 1;
    const std::uint32_t owner = ((part + 1) * threads - 1) / now.parts;
    if (owner == 0 || part != now.parts * owner / threads) return;
    const std::uint32_t behind = now.job - notices[owner].job.load(std::memory_order_relaxed);
    if (behind >= 2 && std::has_single_bit(behind)) move_off_this_cpu(workers[owner - 1]);
  }

  void serve(int thread) {
    std::uint32_t seen = 0;
    do {
      seen = wait_while_equal(jobs, seen, spin);
      notices[thread].job.store(seen, std::memory_order_relaxed);
    } while (work(thread));
  }

  void publish(int parts, Call next_call, const void* next_job) {
    call = next_call;
    MNV2_SCHEDULE_POINT();
    job = next_job;
    MNV2_SCHEDULE_POINT();
    unfinished.store(parts, std::memory_order_relaxed);
    const std::uint32_t number = jobs.load(std::memory_order_relaxed) + 1;
    MNV2_SCHEDULE_POINT();
    ticket.store({number, static_cast<std::uint32_t>(parts)}, std::memory_order_release);
    MNV2_SCHEDULE_POINT();
    // Sequentially consistent: libstdc++ notifies only when it sees somebody waiting. If that look came before the
    // store, a thread that just goes to sleep would have seen the old number, and nobody would wake it.
    jobs.store(number, std::memory_order_seq_cst);
    jobs.notify_all();
  }

  void wait_until_finished() {
    for (int left = unfinished.load(std::memory_order_acquire); left != 0;)
      left = wait_while_equal(unfinished, left, spin);
  }

  void stop() {
    // All jobs are done. A part that none of them had for 2^31 jobs must not look claimed in the future.
    for (Claim& claim : claims)
      claim.job.store(jobs.load(std::memory_order_relaxed), std::memory_order_relaxed);
    // One part for each worker; a worker leaves with the first that it claims.
    publish(static_cast<int>(workers.size()), nullptr, nullptr);
    for (std::thread& worker : workers) worker.join();
  }
};

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>(threads)) {
  static_assert(std::atomic<Ticket>::is_always_lock_free);
  try {
    for (int i = 1; i < threads; ++i)
      impl_->workers.emplace_back([impl = impl_.get(), i] { impl->serve(i); });
  } catch (...) {
    impl_->stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { impl_->stop(); }

int ThreadPool::max_parts() const { return threads() * kMaxPartsPerThread; }

int ThreadPool::threads() const { return static_cast<int>(impl_->workers.size()) + 1; }

void ThreadPool::run(int parts, Call call, const void* job) {
  if (impl_->workers.empty() || parts <= 1) {
    for (int part = 0; part < parts; ++part) call(job, part, 0);
    return;
  }
  impl_->publish(parts, call, job);
  impl_->work(0);
  impl_->wait_until_finished();
}

}  // namespace mnv2
