// How many processors this process may use: what its threads may run on, and no more than the quota of
// its control group allows, rounded up. A quota is not seen by `nproc` or std::thread.
#pragma once

#include <filesystem>

namespace paligemma {

int usable_processors();

// The quota in processors that the files below `root` tell of, or `otherwise`. Both versions of control
// groups are understood:
//
//   proc/self/cgroup                     0::/a/b  or  4:cpu,cpuacct:/a/b
//   sys/fs/cgroup/a/b/cpu.max            "150000 100000", "max 100000"
//   sys/fs/cgroup/cpu/a/b/cpu.cfs_*_us   quota (-1: none) and period
//
// A group's parents bind it too. Within a container the path may be that of the host: then the files at
// the root are the container's.
double processor_quota(const std::filesystem::path& root, double otherwise);

}  // namespace paligemma
