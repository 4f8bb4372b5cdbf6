#include "core/thread_placement.h"

#include <algorithm>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace mnv2 {

int allowed_cpus() {
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return std::max(CPU_COUNT(&allowed), 1);
#endif
  return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
}

#if defined(__linux__)

void move_off_this_cpu(std::thread& thread) {
  cpu_set_t allowed;
  const int cpu = sched_getcpu();
  // Fails with more than CPU_SETSIZE (1024) CPUs.
  if (cpu < 0 || pthread_getaffinity_np(thread.native_handle(), sizeof allowed, &allowed) != 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) == 0 || !CPU_ISSET(cpu, &allowed)) return;
  if (pthread_setaffinity_np(thread.native_handle(), sizeof others, &others) == 0)
    pthread_setaffinity_np(thread.native_handle(), sizeof allowed, &allowed);
}

#else

void move_off_this_cpu(std::thread&) {}

#endif

}  // namespace mnv2
