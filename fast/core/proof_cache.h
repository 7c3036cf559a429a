// What has been proven on this machine, kept from one start of a program to the next: a line of a small text
// file in the user's cache. Whatever is wrong with folder or file, nothing is found or kept, and nobody hears
// of it.
//
//   avx2 2c4f0a9be1d07734 88d05ac1f3b2e946     a set of kernels, the build, the processor
#pragma once

#include <filesystem>
#include <string>

namespace paligemma {

class ProofCache {
 public:
  // The file `proven-kernels` in that folder; no cache at all if it is "".
  explicit ProofCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  bool has(const std::string& proof) const;

  // Whether keep() may be worth trying. Makes the folder if its parent or that one's is there.
  bool is_writable() const;

  // Adds a line, and forgets the oldest of many. Whoever reads meanwhile sees the old file or the new one.
  void keep(const std::string& proof) const;

 private:
  std::filesystem::path folder_;
};

// $XDG_CACHE_HOME/paligemma, or ~/.cache/paligemma; "" if neither is an absolute path.
std::filesystem::path user_cache();

// This build's kernels and their check, as a number in hexadecimal: cmake/kernel_build.cmake.
extern const char* const kKernelBuild;

// The same for the processor: its name, model, revision, microcode and features, as a file like /proc/cpuinfo
// tells of the first. "" if it does not.
std::string processor_id(const std::filesystem::path& cpuinfo = "/proc/cpuinfo");

}  // namespace paligemma
