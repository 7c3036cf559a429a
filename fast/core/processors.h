// How many processors this process may use: those that its threads may run on, but no more than the quota of
// its control group, rounded up. `nproc` and std::thread do not see a quota.
#pragma once

#include <filesystem>

namespace paligemma {

int usable_processors();

// The quota, in processors, according to the files below `root`, or `otherwise` if there is none. Reads both
// versions of control groups:
//
//   proc/self/cgroup                     0::/a/b  or  4:cpu,cpuacct:/a/b
//   sys/fs/cgroup/a/b/cpu.max            "150000 100000", "max 100000"
//   sys/fs/cgroup/cpu/a/b/cpu.cfs_*_us   quota (-1: none) and period
//
// The quotas of a group's parents hold too. Inside a container the path may be the host's; then the files at
// the root are the container's.
double processor_quota(const std::filesystem::path& root, double otherwise);

}  // namespace paligemma
