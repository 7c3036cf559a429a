#include "fast/core/proof_cache.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <thread>
#include <vector>

#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;
namespace fs = std::filesystem;

TEST(ProofCache, KeepsWhatItIsGiven) {
  TemporaryFolder home;
  const ProofCache cache(home / ".cache/paligemma");
  EXPECT_FALSE(cache.has("avx2 1 2"));
  EXPECT_FALSE(fs::exists(home / ".cache"));  // nothing is made to look
  cache.keep("avx2 1 2");
  cache.keep("avx512 1 2");
  for (const ProofCache& any : {cache, ProofCache(home / ".cache/paligemma")}) {
    EXPECT_TRUE(any.has("avx2 1 2") && any.has("avx512 1 2"));
    EXPECT_FALSE(any.has("avx2 1 3") || any.has("avx2 1") || any.has(""));
  }
  EXPECT_EQ(read_bytes(home / ".cache/paligemma/proven-kernels"), "avx2 1 2\navx512 1 2\n");
  EXPECT_EQ(fs::status(home / ".cache/paligemma").permissions(), fs::perms::owner_all);
}

TEST(ProofCache, ForgetsTheOldest) {
  TemporaryFolder folder;
  const ProofCache cache(folder.path());
  for (int i = 0; i < 65; ++i) cache.keep("proof " + std::to_string(i));
  EXPECT_FALSE(cache.has("proof 0"));
  EXPECT_TRUE(cache.has("proof 1") && cache.has("proof 64"));
}

TEST(ProofCache, LeavesOneFile) {
  TemporaryFolder folder;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&folder, i] {
      for (int k = 0; k < 20; ++k) ProofCache(folder.path()).keep(std::to_string(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
  EXPECT_TRUE(read_bytes(folder / "proven-kernels").ends_with('\n'));
}

TEST(ProofCache, IgnoresWhatIsNoFileOfIts) {
  TemporaryFolder folder;
  const fs::path file = folder / "proven-kernels";
  const ProofCache cache(folder.path());
  write_text(file, std::string("\0\xff half of a li", 15));
  EXPECT_FALSE(cache.has("half of a li"));
  for (const std::string& much :
       {std::string(1 << 20, 'x') + "\nproof\n", std::string(6400, 'x') + "\n",
        std::string(1 << 20, '\n')}) {  // more than is ever written
    write_text(file, much);
    EXPECT_FALSE(cache.has("proof"));
    for (int i = 0; i < 10; ++i) cache.keep("proof " + std::to_string(i));
    EXPECT_TRUE(cache.has("proof 0") && cache.has("proof 9"));  // it takes no room from proofs
  }

  fs::remove(file);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);  // would be waited for
  EXPECT_FALSE(cache.has("proof"));
  fs::remove(file);
  fs::create_directory(file);
  EXPECT_FALSE(cache.has("proof"));
  cache.keep("proof");
  EXPECT_FALSE(cache.has("proof"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(ProofCache, IsNoneWhereNothingCanBeWritten) {
  TemporaryFolder folder;
  write_text(folder / "file", "");
  for (const fs::path& nowhere :
       {fs::path(), fs::path(folder / "file"), fs::path("/dev/null"), fs::path("/proc/paligemma"),
        fs::path(folder / "no/such/folder"), fs::path("/" + std::string(5000, 'x'))}) {
    const ProofCache cache(nowhere);
    EXPECT_FALSE(cache.is_writable()) << nowhere;
    cache.keep("proof");
    EXPECT_FALSE(cache.has("proof")) << nowhere;
  }
  EXPECT_FALSE(fs::exists(folder / "no"));
}

TEST(ProofCache, IsWhereTheUserHasHis) {
  const auto with = [](const char* cache, const char* home) {
    cache == nullptr ? unsetenv("XDG_CACHE_HOME") : setenv("XDG_CACHE_HOME", cache, 1);
    home == nullptr ? unsetenv("HOME") : setenv("HOME", home, 1);
    return user_cache();
  };
  EXPECT_EQ(with("/c", "/home/you"), "/c/paligemma");
  EXPECT_EQ(with(nullptr, "/home/you"), "/home/you/.cache/paligemma");
  EXPECT_EQ(with("", "/home/you"), "/home/you/.cache/paligemma");
  EXPECT_EQ(with("relative", "/home/you"), "/home/you/.cache/paligemma");
  EXPECT_EQ(with(nullptr, "relative"), "");
  EXPECT_EQ(with(nullptr, nullptr), "");
}

TEST(ProcessorId, IsOfWhatStaysTheSame) {
  TemporaryFolder folder;
  const auto of = [&](const std::string& text) {
    write_text(folder / "cpuinfo", text);
    return processor_id(folder / "cpuinfo");
  };
  const std::string one = of("processor\t: 0\nmodel\t\t: 1\nflags\t\t: fpu avx2\ncpu MHz\t\t: 2\n");
  EXPECT_EQ(one.size(), 16u);
  EXPECT_EQ(of("processor\t: 7\nmodel\t\t: 1\nflags\t\t: fpu avx2\ncpu MHz\t\t: 3\n\n"
               "processor\t: 8\nmodel\t\t: 2\n"),
            one);
  EXPECT_NE(of("processor\t: 0\nmodel\t\t: 2\nflags\t\t: fpu avx2\ncpu MHz\t\t: 2\n"), one);
  EXPECT_NE(of("processor\t: 0\nmodel\t\t: 1\nflags\t\t: fpu\ncpu MHz\t\t: 2\n"), one);
  EXPECT_EQ(of("nothing: known\n:\n\n"), "");
  EXPECT_EQ(processor_id(folder / "nowhere"), "");
}

TEST(KernelBuild, IsANumber) {
  const std::string build = kKernelBuild;
  EXPECT_EQ(build.size(), 16u);
  EXPECT_EQ(build.find_first_not_of("0123456789abcdef"), build.npos);
}

}  // namespace
}  // namespace paligemma
