#include "fast/core/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

namespace paligemma {
namespace {

Features all(bool there) {
  Features features = features_of_this_processor();
  for (auto& [name, has] : features) has = there;
  return features;
}

std::vector<std::string> names(const Features& processor) {
  std::vector<std::string> found;
  for (const Kernels* kernels : available_kernels(processor)) found.emplace_back(kernels->name);
  return found;
}

std::set<std::string> words_of(std::string_view text) {
  std::istringstream words{std::string(text)};
  return {std::istream_iterator<std::string>(words), {}};
}

TEST(FastKernels, NeedNothingIfPortable) {
  EXPECT_EQ(names(all(false)), std::vector<std::string>{"portable"});
}

TEST(FastKernels, RunWhereAllThatTheyAreCompiledForIsThere) {
  for (const Kernels* kernels : available_kernels(all(true))) {
    Features processor = all(false);
    for (const std::string& feature : words_of(kernels->features)) processor.at(feature) = true;
    EXPECT_EQ(names(processor).front(), kernels->name);
  }
}

TEST(FastKernels, DoNotRunWhereAFeatureIsMissing) {
  for (const Kernels* kernels : available_kernels(all(true))) {
    for (const std::string& feature : words_of(kernels->features)) {
      Features processor = all(true);
      processor.at(feature) = false;
      const auto left = names(processor);
      EXPECT_EQ(std::count(left.begin(), left.end(), kernels->name), 0)
          << kernels->name << " without " << feature;
    }
  }
}

#if defined(__x86_64__)
TEST(FastKernels, AreBestFirst) {
  EXPECT_EQ(names(all(true)),
            (std::vector<std::string>{"amx", "avx512_bf16", "avx512", "avx2", "portable"}));
}

TEST(FastKernels, AreCompiledForWhatTheyUse) {
  EXPECT_EQ(words_of(available_kernels(all(true))[3]->features),
            (std::set<std::string>{"avx2", "fma", "f16c"}));
}

// Linux's names have an underscore more, avx512_vnni, or in the place of a dash. It may keep tile registers from a
// process; then they are not there.
TEST(FastKernels, KnowTheProcessorAsTheSystemDoes) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && !line.starts_with("flags")) continue;
  if (line.empty()) GTEST_SKIP() << "the system does not say";
  std::erase(line, '_');
  const auto flags = words_of(line);
  for (const auto& [feature, has] : features_of_this_processor()) {
    std::string name = feature;
    const bool may_be_kept = std::erase(name, '-') > 0 && !has;
    EXPECT_TRUE(may_be_kept || has == flags.contains(name)) << name;
  }
}
#endif

}  // namespace
}  // namespace paligemma
