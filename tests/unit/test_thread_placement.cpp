#include "core/thread_placement.h"

#include <atomic>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#endif

#include "core/thread_pool.h"
#include "support/catch.h"

TEST_CASE("at least one CPU may be used") { CHECK(mnv2::allowed_cpus() >= 1); }

#if defined(__linux__)
namespace {

cpu_set_t affinity(pthread_t thread) {
  cpu_set_t set;
  REQUIRE(pthread_getaffinity_np(thread, sizeof set, &set) == 0);
  return set;
}

void set_affinity(pthread_t thread, const cpu_set_t& set) {
  REQUIRE(pthread_setaffinity_np(thread, sizeof set, &set) == 0);
}

cpu_set_t only(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return set;
}

/// The CPU whose queue a thread of this process is in: field 39 of its stat file (proc(5)).
int cpu_of(int thread_id) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread_id) + "/stat");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  text.erase(0, text.rfind(')') + 1);  // the name may hold spaces
  std::size_t at = 0;
  for (int field = 3; field < 39; ++field) at = text.find(' ', at + 1);
  return std::stoi(text.substr(at));
}

/// A thread that computes until it is told to stop.
class BusyThread {
 public:
  BusyThread() {
    while (id_ == 0) std::this_thread::yield();
  }
  ~BusyThread() {
    stop_ = true;
    thread_.join();
  }
  BusyThread(const BusyThread&) = delete;
  BusyThread& operator=(const BusyThread&) = delete;

  std::thread& thread() { return thread_; }
  int id() const { return id_; }

 private:
  std::atomic<int> id_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_{[this] {
    id_ = gettid();
    while (!stop_) {
    }
  }};
};

}  // namespace

TEST_CASE("a thread that waits for this CPU is moved to another, and may run where it might before") {
  const cpu_set_t all = affinity(pthread_self());
  if (CPU_COUNT(&all) < 2) {
    WARN("SKIPPED: one CPU");
    return;
  }
  const int here = sched_getcpu();
  set_affinity(pthread_self(), only(here));
  bool moved = false;
  {
    BusyThread busy;
    const pthread_t handle = busy.thread().native_handle();
    for (int attempt = 0; attempt < 5 && !moved; ++attempt) {
      set_affinity(handle, only(here));
      REQUIRE(cpu_of(busy.id()) == here);
      set_affinity(handle, all);
      mnv2::move_off_this_cpu(busy.thread());
      moved = cpu_of(busy.id()) != here;  // at once: the kernel alone would do it some time
      const cpu_set_t now = affinity(handle);
      REQUIRE(CPU_EQUAL(&now, &all));
    }
    set_affinity(handle, only(here));
    mnv2::move_off_this_cpu(busy.thread());  // there is no other
    const cpu_set_t now = affinity(handle);
    const cpu_set_t expected = only(here);
    CHECK(CPU_EQUAL(&now, &expected));
  }
  set_affinity(pthread_self(), all);
  CHECK(moved);
}

TEST_CASE("a pool leaves alone where its threads may run") {
  const cpu_set_t all = affinity(pthread_self());
  mnv2::ThreadPool pool(2);
  for (int job = 0; job < 1000; ++job) pool.run(8, [](int, int) {});
  std::atomic<int> arrived{0};
  std::atomic<bool> equal{true};
  pool.run(2, [&](int, int) {
    cpu_set_t mine;
    if (pthread_getaffinity_np(pthread_self(), sizeof mine, &mine) != 0 || !CPU_EQUAL(&mine, &all))
      equal = false;
    ++arrived;
    while (arrived.load() < 2) std::this_thread::yield();  // each thread does one part
  });
  CHECK(equal.load());
}
#endif
