#include <atomic>
#include <chrono>
#include <ctime>
#include <thread>
#include <vector>

#include "core/thread_pool.h"
#include "support/catch.h"

using mnv2::ThreadPool;

TEST_CASE("a pool runs every part of a job exactly once, job after job, and names its threads") {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    REQUIRE(pool.threads() == threads);
    for (int round = 0; round < 500; ++round) {
      const int parts = round % (pool.max_parts() + 1);
      std::vector<int> calls(parts, 0);
      std::vector<std::atomic<int>> active(threads);
      std::atomic<int> wrong{0};
      pool.run(parts, [&](int part, int thread) {
        if (thread < 0 || thread >= threads || active[thread]++ != 0) ++wrong;  // one part at a time
        ++calls[part];
        --active[thread];
      });
      REQUIRE(wrong.load() == 0);
      for (const int count : calls) REQUIRE(count == 1);
    }
  }
}

TEST_CASE("threads of a pool run at the same time") {
  ThreadPool pool(3);
  std::atomic<int> arrived{0};
  // Each waits for the others: run one after the other, this would never end.
  pool.run(3, [&](int, int) {
    ++arrived;
    while (arrived.load() < 3) std::this_thread::yield();
  });
  CHECK(arrived.load() == 3);
}

TEST_CASE("a part that a worker holds up does not keep the caller from the others") {
  ThreadPool pool(2);
  std::atomic<int> done{0};
  std::atomic<bool> held{false};
  // Whoever gets part 0 waits until all others are done: with parts assigned in advance, this would never end.
  pool.run(6, [&](int part, int) {
    if (part == 0) {
      held = true;
      while (done.load() < 5) std::this_thread::yield();
    } else {
      while (!held.load()) std::this_thread::yield();
      ++done;
    }
  });
  CHECK(done.load() == 5);
}

TEST_CASE("a pool that slept wakes again and an idle pool uses no CPU") {
  ThreadPool pool(4);
  pool.run(4, [](int, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // past the spinning
  const std::clock_t before = std::clock();                    // CPU time of the whole process
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const double cpu_seconds = double(std::clock() - before) / CLOCKS_PER_SEC;
  CHECK(cpu_seconds < 0.1);  // three spinning workers would use about 0.3 to 0.9
  std::atomic<int> ran{0};
  pool.run(4, [&](int, int) { ++ran; });
  CHECK(ran.load() == 4);
}
