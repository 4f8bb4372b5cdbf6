#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "app/pipeline/memory_budget.h"
#include "support/catch.h"

using mnv2::app::MemoryBudget;

TEST_CASE("threads never hold more than the budget, except one alone") {
  constexpr std::int64_t kBudget = 100;
  MemoryBudget budget(kBudget);
  std::atomic<std::int64_t> held = 0;
  std::atomic<int> holders = 0, wrong = 0, most_holders = 0;
  const auto work = [&](std::uint32_t seed) {
    for (int i = 0; i < 400; ++i) {
      seed = seed * 1664525u + 1013904223u;
      const std::int64_t bytes =
          i % 16 == 0
              ? 5 * kBudget
              : 1 + static_cast<std::int64_t>(seed >> 26);  // to 64: a wish for nothing is always granted
      MemoryBudget::Part part;
      part.take(budget, bytes);
      const std::int64_t sum = held += bytes;
      const int others = holders++;
      if (sum > kBudget && !(sum == bytes && others == 0)) ++wrong;
      int most = most_holders;
      while (others + 1 > most && !most_holders.compare_exchange_weak(most, others + 1)) {
      }
      std::this_thread::yield();
      held -= bytes;
      --holders;
    }
  };
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 6; ++t) threads.emplace_back(work, t);
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(most_holders > 1);  // it is shared, not handed from one to the next
}

TEST_CASE("a large wish is not kept waiting by small ones that come after it") {
  MemoryBudget budget(10);
  auto first = std::make_unique<MemoryBudget::Part>();
  first->take(budget, 1);
  std::mutex mutex;
  std::vector<int> served;
  const auto serve = [&](int who, std::int64_t bytes) {
    MemoryBudget::Part part;
    part.take(budget, bytes);
    const std::scoped_lock lock(mutex);
    served.push_back(who);
  };
  // Each is asked for after the one before is known to wait, or to have been served, which would be wrong.
  std::thread large([&] { serve(1, 1000); });
  while (budget.waiting() < 1) std::this_thread::yield();
  std::thread small([&] { serve(2, 1); });
  while (budget.waiting() < 2 && served.empty()) std::this_thread::yield();
  first.reset();
  large.join();
  small.join();
  CHECK(served == std::vector<int>{1, 2});
}
