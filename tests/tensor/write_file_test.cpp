// Files that are written whole or not at all.
#include "tensor/write_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <thread>

#include "tests/support/run_program.h"

namespace paligemma {
namespace {

using namespace test;
namespace fs = std::filesystem;

// Room for so many bytes in a file, as `ulimit -f` makes it, until the test is over.
class NoMoreThan {
 public:
  explicit NoMoreThan(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~NoMoreThan() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_;
};

class WriteFile : public ::testing::Test {
 protected:
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()));
  }
  TemporaryFolder folder_;
  const fs::path path_ = folder_ / "file";
};

TEST_F(WriteFile, MakesOneAndReplacesOne) {
  for (const std::string& bytes : {std::string("one"), std::string(100'000, '\0'), std::string()}) {
    write_file(path_, bytes);
    EXPECT_EQ(read_bytes(path_), bytes);
    EXPECT_EQ(files(), 1u);
  }
}

TEST_F(WriteFile, TakesANameAlone) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_.path());
  write_file("file", "bytes");
  fs::current_path(before);
  EXPECT_EQ(read_bytes(path_), "bytes");
}

TEST_F(WriteFile, KeepsWhatWasThereWhereTheDiskIsFull) {
  write_text(path_, "before");
  {
    const NoMoreThan limit(1000);
    EXPECT_THROW(write_file(path_, std::string(1001, 'x')), std::runtime_error);
    EXPECT_THROW(write_file(folder_ / "new", std::string(100'000, 'x')), std::runtime_error);
  }
  EXPECT_EQ(read_bytes(path_), "before");
  EXPECT_EQ(files(), 1u);
}

TEST_F(WriteFile, SaysThatADeviceIsFull) {
  EXPECT_THROW(write_file("/dev/full", "x"), std::runtime_error);
  fs::create_symlink("/dev/full", path_);
  EXPECT_THROW(write_file(path_, "x"), std::runtime_error);
  EXPECT_TRUE(fs::is_symlink(path_));
}

TEST_F(WriteFile, LeavesLinksAsTheyAre) {
  write_text(folder_ / "end", "before");
  fs::create_symlink("end", folder_ / "middle");
  fs::create_symlink(folder_ / "middle", path_);
  write_file(path_, "after");
  EXPECT_EQ(read_bytes(folder_ / "end"), "after");
  EXPECT_TRUE(fs::is_symlink(path_) && fs::is_symlink(folder_ / "middle"));

  fs::remove(folder_ / "end");
  write_file(path_, "again");
  EXPECT_EQ(read_bytes(folder_ / "end"), "again");
}

TEST_F(WriteFile, KeepsPermissions) {
  write_text(path_, "before");
  fs::permissions(path_, fs::perms(0640));
  write_file(path_, "after");
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms(0640));

  const mode_t before = umask(027);
  write_file(folder_ / "new", "x");
  EXPECT_EQ(umask(before), mode_t{027});
  EXPECT_EQ(fs::status(folder_ / "new").permissions(), fs::perms(0640));
}

TEST_F(WriteFile, GoesIntoAPipe) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  std::string read;
  std::thread reader([&] { read = read_bytes(path_); });
  check_writable(path_);
  write_file(path_, "bytes");
  reader.join();
  EXPECT_EQ(read, "bytes");
  EXPECT_TRUE(fs::is_fifo(path_));
}

TEST_F(WriteFile, SaysWhereNothingCanBeWritten) {
  fs::create_symlink("loop", folder_ / "loop");
  for (const fs::path& path : {folder_.path(), folder_ / "no/such/folder", folder_ / "loop",
                               folder_ / std::string(300, 'a'), fs::path()}) {
    EXPECT_THROW(check_writable(path), std::runtime_error) << path;
    EXPECT_THROW(write_file(path, "x"), std::runtime_error) << path;
  }
  check_writable(path_);
  check_writable("/dev/null");
  EXPECT_EQ(files(), 1u) << "the loop";
}

}  // namespace
}  // namespace paligemma
