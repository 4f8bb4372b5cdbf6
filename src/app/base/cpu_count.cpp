#include "app/base/cpu_count.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace mnv2::app {
namespace {

namespace fs = std::filesystem;

/// The words of one line.
std::vector<std::string> split_words(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

bool has_item(std::string_view comma_list, std::string_view item) {
  while (true) {
    const std::size_t comma = comma_list.find(',');
    if (comma_list.substr(0, comma) == item) return true;
    if (comma == std::string_view::npos) return false;
    comma_list.remove_prefix(comma + 1);
  }
}

std::optional<double> parse_number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// quota / period in CPUs; nothing for "max" (v2), -1 (v1) and what makes no sense.
std::optional<double> ratio(const std::string& quota, const std::string& period) {
  const std::optional<double> q = parse_number(quota);
  const std::optional<double> p = parse_number(period);
  if (!q || !p || *q <= 0 || *p <= 0) return std::nullopt;
  return *q / *p;
}

std::optional<double> quota_of_folder(const fs::path& folder, bool v2) {
  if (!v2) return ratio(first_line(folder / "cpu.cfs_quota_us"), first_line(folder / "cpu.cfs_period_us"));
  const std::vector<std::string> words = split_words(first_line(folder / "cpu.max"));
  return words.size() == 2 ? ratio(words[0], words[1]) : std::nullopt;
}

/// The group of this process in the v2 hierarchy, or in v1's cpu controller (/proc/self/cgroup, see
/// cgroups(7)).
std::optional<std::string> group_path(const fs::path& root, bool v2) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    if (v2 ? controllers.empty() : has_item(controllers, "cpu")) return line.substr(second + 1);
  }
  return std::nullopt;
}

struct Mount {
  std::string group;  // the group that is mounted: not "/" in a container without a namespace of its own
  std::string point;
};

/// Where the hierarchy is mounted (/proc/self/mountinfo, see proc(5)).
std::optional<Mount> cgroup_mount(const fs::path& root, bool v2) {
  std::ifstream file(root / "proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = split_words(line);
    const auto dash = std::find(words.begin(), words.end(), "-");  // ends the optional fields
    if (words.end() - dash < 4 || dash - words.begin() < 6) continue;
    const bool match = v2 ? dash[1] == "cgroup2" : dash[1] == "cgroup" && has_item(dash[3], "cpu");
    if (match) return Mount{words[3], words[4]};
  }
  return std::nullopt;
}

std::optional<double> smaller(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

std::optional<double> hierarchy_quota(const fs::path& root, bool v2) {
  const std::optional<std::string> group = group_path(root, v2);
  const std::optional<Mount> mount = cgroup_mount(root, v2);
  if (!group || !mount) return std::nullopt;
  std::string below = *group;
  if (mount->group != "/" && below.rfind(mount->group, 0) == 0) below.erase(0, mount->group.size());
  const fs::path top = root / fs::path(mount->point).relative_path();
  std::optional<double> quota = quota_of_folder(top, v2);
  fs::path folder = top;
  for (const fs::path& part : fs::path(below).relative_path()) {
    folder /= part;
    quota = smaller(quota, quota_of_folder(folder, v2));
  }
  return quota;
}

}  // namespace

int affinity_cpus() {
  // The kernel refuses a mask smaller than its own: grow until it fits (1024 CPUs are only the C library's
  // default).
  for (int cpus = 1024; cpus <= (1 << 20); cpus *= 2) {
    cpu_set_t* mask = CPU_ALLOC(cpus);
    if (mask == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(cpus);
    const bool ok = sched_getaffinity(0, bytes, mask) == 0;
    const int count = ok ? CPU_COUNT_S(bytes, mask) : 0;
    CPU_FREE(mask);
    if (ok) return std::max(count, 1);
    if (errno != EINVAL) break;
  }
  return 1;
}

std::optional<double> cgroup_cpu_quota(const fs::path& root) {
  return smaller(hierarchy_quota(root, true), hierarchy_quota(root, false));
}

int default_threads(int affinity, std::optional<double> quota) {
  int threads = affinity;
  if (quota && *quota < threads) threads = static_cast<int>(*quota);
  return std::max(threads, 1);
}

}  // namespace mnv2::app
