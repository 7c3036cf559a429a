// Remembers between runs which sets of kernels have been proven on this machine: lines of a small text file in
// the user's cache. Errors of folder or file are never reported; then nothing is found or kept.
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

  // Adds a line, and forgets the oldest of many. A concurrent reader sees the old file or the new one.
  void keep(const std::string& proof) const;

 private:
  std::filesystem::path folder_;
};

// $XDG_CACHE_HOME/paligemma, or ~/.cache/paligemma; "" if neither is an absolute path.
std::filesystem::path user_cache();

// This build's kernels and their check, as a number in hexadecimal: cmake/kernel_build.cmake.
extern const char* const kKernelBuild;

// The same for the processor: a hash of the name, model, revision, microcode and features of the first one in
// a file like /proc/cpuinfo. "" if the file lacks them.
std::string processor_id(const std::filesystem::path& cpuinfo = "/proc/cpuinfo");

}  // namespace paligemma
