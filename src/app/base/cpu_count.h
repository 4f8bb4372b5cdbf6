// How many CPUs this process may use: not how many the machine has.
#pragma once

#include <filesystem>
#include <optional>

namespace mnv2::app {

/// CPUs in this process's affinity mask (taskset, Slurm, cpusets); at least 1.
int affinity_cpus();

/// The CPU bandwidth that control groups allow this process, in CPUs, e.g. 1.5: the smallest quota among its
/// group and the ancestors that are visible, of cgroup v2 (cpu.max) and v1 (cpu.cfs_quota_us). Nothing when
/// there is no limit.
/// @param root where /proc and /sys are found; tests give a folder of their own.
std::optional<double> cgroup_cpu_quota(const std::filesystem::path& root = "/");

/// The number of threads to use by default: the smaller of the affinity mask and the quota rounded down, at
/// least 1. More threads than the quota would be stopped in the middle of an image when it is used up.
int default_threads(int affinity, std::optional<double> quota);

}  // namespace mnv2::app
