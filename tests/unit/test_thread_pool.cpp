#include <atomic>
#include <chrono>
#include <ctime>
#include <thread>
#include <vector>

#include "core/thread_pool.h"
#include "support/catch.h"

using mnv2::ThreadPool;

TEST_CASE("every thread of a pool runs a job exactly once, job after job") {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    REQUIRE(pool.threads() == threads);
    std::vector<int> calls(threads, 0);
    for (int round = 1; round <= 500; ++round) {
      pool.run([&](int i) { ++calls[i]; });
      for (const int count : calls) REQUIRE(count == round);
    }
  }
}

TEST_CASE("threads of a pool run at the same time") {
  ThreadPool pool(3);
  std::atomic<int> arrived{0};
  // Each waits for the others: run one after the other, this would never end.
  pool.run([&](int) {
    ++arrived;
    while (arrived.load() < 3) std::this_thread::yield();
  });
  CHECK(arrived.load() == 3);
}

TEST_CASE("a pool that slept wakes again and an idle pool uses no CPU") {
  ThreadPool pool(4);
  pool.run([](int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // past the spinning
  const std::clock_t before = std::clock();                    // CPU time of the whole process
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const double cpu_seconds = double(std::clock() - before) / CLOCKS_PER_SEC;
  CHECK(cpu_seconds < 0.1);  // three spinning workers would use about 0.3 to 0.9
  std::atomic<int> ran{0};
  pool.run([&](int) { ++ran; });
  CHECK(ran.load() == 4);
}
