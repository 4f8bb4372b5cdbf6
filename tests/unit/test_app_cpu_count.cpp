#include <sched.h>

#include <filesystem>
#include <optional>
#include <string>

#include "app/base/cpu_count.h"
#include "support/catch.h"
#include "support/temp_dir.h"

using namespace mnv2::app;
using mnv2::test::TempDir;

namespace {

/// A machine's /proc and /sys, as far as control groups are concerned.
class FakeRoot {
 public:
  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((temp_ / name).parent_path());
    mnv2::test::write_file(temp_ / name, text);
  }
  void mount_v2(const std::string& group = "/") {
    write("proc/self/mountinfo",
          "22 28 0:21 / /proc rw,nosuid - proc proc rw\n"
          "30 23 0:26 " +
              group + " /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
  }
  std::optional<double> quota() const { return cgroup_cpu_quota(temp_.path()); }

 private:
  TempDir temp_;
};

}  // namespace

TEST_CASE("threads are the affinity mask cut to the quota, rounded down, at least one") {
  CHECK(default_threads(8, std::nullopt) == 8);
  CHECK(default_threads(8, 2.0) == 2);
  CHECK(default_threads(8, 3.99) == 3);
  CHECK(default_threads(8, 0.25) == 1);
  CHECK(default_threads(2, 1e12) == 2);
  CHECK(default_threads(0, std::nullopt) == 1);
}

TEST_CASE("as many CPUs as are in the affinity mask") {
  cpu_set_t whole;  // for 1024 CPUs: larger machines are not tested
  if (sched_getaffinity(0, sizeof whole, &whole) != 0) return;
  REQUIRE(CPU_COUNT(&whole) >= 1);
  CHECK(affinity_cpus() == CPU_COUNT(&whole));
  cpu_set_t part;
  CPU_ZERO(&part);
  int cpus = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &whole)) continue;
    CPU_SET(cpu, &part);
    REQUIRE(sched_setaffinity(0, sizeof part, &part) == 0);
    CHECK(affinity_cpus() == ++cpus);
  }
  CHECK(affinity_cpus() == CPU_COUNT(&whole));
}

TEST_CASE("cgroup v2: the smallest quota from the root to the group") {
  FakeRoot root;
  root.mount_v2();
  root.write("proc/self/cgroup", "0::/user.slice/job\n");
  CHECK_FALSE(root.quota());
  root.write("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n");
  CHECK_FALSE(root.quota());
  root.write("sys/fs/cgroup/user.slice/job/cpu.max", "250000 100000\n");
  CHECK(root.quota() == 2.5);
  root.write("sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n");
  CHECK(root.quota() == 1.5);
}

TEST_CASE("cgroup v2 in a container that sees the host's paths") {
  FakeRoot root;
  root.mount_v2("/docker/abc");
  root.write("proc/self/cgroup", "0::/docker/abc\n");
  root.write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  CHECK(root.quota() == 0.5);
}

TEST_CASE("cgroup v1: the cpu controller's quota") {
  FakeRoot root;
  root.write("proc/self/mountinfo",
             "31 25 0:27 / /sys/fs/cgroup/cpuset rw shared:10 - cgroup cgroup rw,cpuset\n"
             "32 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct\n");
  root.write("proc/self/cgroup", "5:cpuset:/other\n4:cpu,cpuacct:/job\n1:name=systemd:/x\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  CHECK_FALSE(root.quota());
  root.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "300000\n");
  CHECK(root.quota() == 3.0);
}

TEST_CASE("files that make no sense mean no limit") {
  FakeRoot root;
  CHECK_FALSE(root.quota());
  root.mount_v2();
  root.write("proc/self/cgroup", "nonsense\n0::/\n");
  for (const char* text : {"", "max", "100000", "a b", "0 100000", "100000 0", "-5 100000", "1 2 3"}) {
    root.write("sys/fs/cgroup/cpu.max", text);
    CHECK_FALSE(root.quota());
  }
}
