// The thread pool under schedules that are rare: its source is built with pauses at random at every step that another
// thread may see (support/schedule_point.h), and runs with more threads than CPUs.
#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "core/thread_pool.h"
#include "support/catch.h"
#include "support/schedule_point.h"
#include "support/within.h"

using mnv2::ThreadPool;
using mnv2::test::within;

namespace {

// Seconds; what takes so long has hung. Below the limit that ctest has for it.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr double kDeadline = 600;
#else
constexpr double kDeadline = 100;
#endif

}  // namespace

void mnv2::test::pause_at_random() {
  static std::atomic<unsigned> seed{1};
  thread_local std::minstd_rand engine(seed++);
  const unsigned dice = engine() % 64;
  if (dice == 0)
    std::this_thread::sleep_for(std::chrono::microseconds(engine() % 1000));
  else if (dice < 16)
    std::this_thread::yield();
}

TEST_CASE("every part is run by the job that it belongs to, whatever the schedule") {
  struct Job {
    int round = 0;
    std::vector<std::atomic<int>>* stamps = nullptr;
    std::atomic<int>* wrong = nullptr;
    int expected_parts = 0;
    void operator()(int part, int) const {
      if (part >= expected_parts || (*stamps)[part].exchange(round) == round) ++*wrong;
    }
  };
  for (const int threads : {2, 3, 8}) {
    within(kDeadline, "3000 jobs of a pool", [threads] {
      ThreadPool pool(threads);
      std::vector<std::atomic<int>> stamps(pool.max_parts());
      std::atomic<int> wrong{0};
      // Two jobs in turns, both alive: a part that a late worker runs for the wrong one is seen, not a crash.
      Job jobs[2];
      std::mt19937 engine(threads);
      for (int round = 1; round <= 3000; ++round) {
        Job& job = jobs[round % 2];
        const int parts = 1 + static_cast<int>(engine() % pool.max_parts());
        job = {round, &stamps, &wrong, parts};
        pool.run(parts, job);
        for (int part = 0; part < parts; ++part)
          if (stamps[part].load() != round) ++wrong;
        REQUIRE(wrong.load() == 0);
      }
    });
  }
}

TEST_CASE("a caller that went to sleep is woken by the last part") {
  within(kDeadline, "a worker's last part to wake the caller", [] {
    ThreadPool pool(2);
    for (int round = 0; round < 30; ++round) {
      // The worker takes part 1 and keeps it for longer than the caller spins.
      std::atomic<bool> taken{false};
      pool.run(2, [&](int, int thread) {
        if (thread == 0) {
          while (!taken.load()) std::this_thread::yield();
        } else {
          taken = true;
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
      });
    }
  });
}

TEST_CASE("workers that went to sleep are woken by the next job, and by the end of the pool") {
  for (int round = 0; round < 20; ++round) {
    within(kDeadline, "sleeping workers to do their parts and leave", [] {
      ThreadPool pool(4);
      for (int job = 0; job < 3; ++job) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));  // past the spinning
        std::atomic<int> arrived{0};
        pool.run(4, [&](int, int) {
          ++arrived;
          while (arrived.load() < 4) std::this_thread::yield();  // all four threads must come
        });
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    });
  }
}

TEST_CASE("a pool that ends at once, or after one job, leaves no thread behind") {
  within(kDeadline, "200 short-lived pools to end", [] {
    for (int round = 0; round < 200; ++round) {
      ThreadPool pool(1 + round % 5);
      std::atomic<int> ran{0};
      if (round % 2 == 0) pool.run(3, [&](int, int) { ++ran; });
      REQUIRE(ran.load() == (round % 2 == 0 ? 3 : 0));
    }
  });
}
