// Where the kernel lets a thread run, for a scheduler that has put two threads of one pool on the same CPU.
#pragma once

#include <thread>

namespace mnv2 {

/// The number of CPUs that the calling thread may run on; at least 1.
int allowed_cpus();

/// Has the kernel move `thread` to another of the CPUs that it may run on, if it waits for the CPU of the calling
/// thread; elsewhere it stays. What it may run on is afterwards as it was. Does nothing where there is no other
/// CPU, and on systems without thread affinity (pthread_setaffinity_np).
void move_off_this_cpu(std::thread& thread);

}  // namespace mnv2
