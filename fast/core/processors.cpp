#include "fast/core/processors.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

namespace paligemma {

namespace fs = std::filesystem;

namespace {

// quota / period of one group, if it has one.
std::optional<double> quota_of(const fs::path& group) {
  double quota = 0, period = 0;
  if (std::ifstream file(group / "cpu.max"); file >> quota >> period) return quota / period;
  if (std::ifstream file(group / "cpu.cfs_quota_us"); !(file >> quota) || quota <= 0) return {};
  if (std::ifstream file(group / "cpu.cfs_period_us"); !(file >> period) || period <= 0) return {};
  return quota / period;
}

// The least of a group's and its parents'.
double least_quota(const fs::path& mount, fs::path group, double least) {
  for (;;) {
    least = std::min(least, quota_of(mount / group).value_or(least));
    if (group.empty()) return least;
    group = group.parent_path();
  }
}

}  // namespace

double processor_quota(const fs::path& root, double otherwise) {
  double least = otherwise;
  const fs::path mounts = root / "sys/fs/cgroup";
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // number:controllers:/path
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const fs::path group = fs::path(line.substr(second + 1)).relative_path();
    if (controllers == ",,") least = least_quota(mounts, group, least);
    if (controllers.find(",cpu,") != controllers.npos) {
      least = least_quota(mounts / "cpu", group, least);
    }
  }
  return least;
}

int usable_processors() {
  static const int usable = [] {
    int processors = static_cast<int>(std::thread::hardware_concurrency());
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) processors = CPU_COUNT(&set);
    processors = std::max(processors, 1);
    return std::max(1, static_cast<int>(std::ceil(processor_quota("/", processors))));
  }();
  return usable;
}

}  // namespace paligemma
