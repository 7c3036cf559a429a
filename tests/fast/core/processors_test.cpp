#include "fast/core/processors.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <fstream>

#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;

// A root folder whose files say what is asked for.
class Processors : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text << "\n";
  }
  double quota() const { return processor_quota(folder_.path(), 8); }

  TemporaryFolder folder_;
};

TEST_F(Processors, AreAllWhereNothingIsSaid) { EXPECT_EQ(quota(), 8); }

TEST_F(Processors, OfTheSecondVersionOfGroups) {
  write("proc/self/cgroup", "0::/user.slice/run");
  write("sys/fs/cgroup/user.slice/run/cpu.max", "max 100000");
  EXPECT_EQ(quota(), 8);
  write("sys/fs/cgroup/user.slice/run/cpu.max", "150000 100000");
  EXPECT_EQ(quota(), 1.5);
  write("sys/fs/cgroup/user.slice/cpu.max", "50000 100000");
  EXPECT_EQ(quota(), 0.5) << "a parent's";
  write("sys/fs/cgroup/user.slice/cpu.max", "400000 100000");
  EXPECT_EQ(quota(), 1.5) << "a parent's is more";
}

TEST_F(Processors, OfTheFirstVersionOfGroups) {
  write("proc/self/cgroup", "11:memory:/a\n4:cpu,cpuacct:/a/b\n3:cpuset:/c\n1:name=systemd:/a");
  write("sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "1000");
  write("sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000");
  write("sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "-1");
  write("sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000");
  EXPECT_EQ(quota(), 8);
  write("sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "300000");
  EXPECT_EQ(quota(), 3);
}

// There the path is the host's, and the container's own files are at the root.
TEST_F(Processors, WithinAContainer) {
  write("proc/self/cgroup", "0::/system.slice/docker-1234.scope");
  write("sys/fs/cgroup/cpu.max", "200000 100000");
  EXPECT_EQ(quota(), 2);
}

TEST_F(Processors, OfBrokenFiles) {
  write("proc/self/cgroup", "nonsense\n0::/a\n::::\n\n7:cpu:");
  write("sys/fs/cgroup/a/cpu.max", "many");
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "");
  EXPECT_EQ(quota(), 8);
}

TEST(UsableProcessors, AreNoMoreThanThisProcessMayRunOn) {
  cpu_set_t set;
  ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  EXPECT_GE(usable_processors(), 1);
  EXPECT_LE(usable_processors(), CPU_COUNT(&set));
}

}  // namespace
}  // namespace paligemma
