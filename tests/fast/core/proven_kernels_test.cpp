#include "fast/core/proven_kernels.h"

#include <gtest/gtest.h>

#include <csignal>

#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;

constexpr std::uintmax_t kTiny = 4 << 20, kLarge = std::uintmax_t{5} << 30;

// Sets that compute what the portable one does, nonsense, or nothing at all.
Kernels named(std::string_view name) {
  Kernels kernels = *available_kernels().back();
  kernels.name = name;
  return kernels;
}
const Kernels kGood = named("good"), kOther = named("other"), kLast = named("last");
const Kernels kWrong = [] {
  Kernels kernels = named("wrong");
  kernels.logits.soft_cap = [](float, float*, Index) {};
  return kernels;
}();
const Kernels kIllegal = [] {
  Kernels kernels = named("illegal");
  kernels.linear.f16 = [](const Fast&, const LinearWork<f16>&) { raise(SIGILL); };
  return kernels;
}();

const ProofCache kNoCache("");

TEST(ProvenKernels, AreTheBestThatPass) {
  for (const auto& sets : {std::vector{&kGood, &kOther, &kLast}, std::vector{&kGood}}) {
    const ProvenKernels proven = proven_kernels(sets, kNoCache, "p", kLarge);
    EXPECT_EQ(proven.kernels, &kGood);
    EXPECT_EQ(proven.note, "");
  }
}

TEST(ProvenKernels, AreTheNextWhereOneFails) {
  const ProvenKernels proven = proven_kernels({&kWrong, &kGood, &kLast}, kNoCache, "p", kLarge);
  EXPECT_EQ(proven.kernels, &kGood);
  EXPECT_EQ(proven.note, "the wrong kernels compute nonsense here (capped logits), so good run");
}

TEST(ProvenKernels, AreTheLastWhereAllFail) {
  const ProvenKernels proven = proven_kernels({&kIllegal, &kWrong, &kLast}, kNoCache, "p", kLarge);
  EXPECT_EQ(proven.kernels, &kLast);
  EXPECT_EQ(proven.note,
            "the illegal kernels compute nonsense here (f16 weights, few rows), "
            "the wrong kernels compute nonsense here (capped logits), so last run");
}

TEST(ProvenKernels, OfAFewWeightsAreBelievedWhereNothingCanBeKept) {
  TemporaryFolder folder;
  const ProofCache cache(folder.path());
  EXPECT_EQ(proven_kernels({&kWrong, &kLast}, kNoCache, "p", kTiny).kernels, &kWrong);
  EXPECT_EQ(proven_kernels({&kWrong, &kLast}, cache, "", kTiny).kernels, &kWrong);
  EXPECT_EQ(proven_kernels({&kWrong, &kLast}, cache, "p", kTiny).kernels, &kLast);
}

TEST(ProvenKernels, AreCheckedOnce) {
  TemporaryFolder folder;
  const ProofCache cache(folder.path());
  EXPECT_EQ(proven_kernels({&kGood, &kLast}, cache, "p", kTiny).kernels, &kGood);
  Kernels spoilt = kWrong;  // under a name that has passed
  spoilt.name = "good";
  EXPECT_EQ(proven_kernels({&spoilt, &kLast}, cache, "p", kLarge).kernels, &spoilt);
  EXPECT_EQ(proven_kernels({&spoilt, &kLast}, cache, "another", kLarge).kernels, &kLast);
  EXPECT_EQ(proven_kernels({&kWrong, &kLast}, cache, "p", kLarge).kernels, &kLast);
  EXPECT_EQ(proven_kernels({&spoilt, &kLast}, kNoCache, "p", kLarge).kernels, &kLast);
  write_text(folder / "proven-kernels", "good 0123456789abcdef p\n");  // of another build
  EXPECT_EQ(proven_kernels({&spoilt, &kLast}, cache, "p", kLarge).kernels, &kLast);
}

TEST(ProvenKernels, ThatFailAreCheckedAgain) {
  TemporaryFolder folder;
  const ProofCache cache(folder.path());
  for (int start = 0; start < 2; ++start) {
    const ProvenKernels proven = proven_kernels({&kWrong, &kGood, &kLast}, cache, "p", kLarge);
    EXPECT_EQ(proven.kernels, &kGood);
    EXPECT_NE(proven.note, "");
  }
  EXPECT_EQ(read_bytes(folder / "proven-kernels"), std::string("good ") + kKernelBuild + " p\n");
}

TEST(ProvenKernels, ThatNobodyChecksAreTheLast) {
  TemporaryFolder folder;
  proven_kernels({&kLast}, ProofCache(folder.path()), "p", kLarge);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(WeightBytes, AreThoseOfAllFiles) {
  TemporaryFolder folder;
  EXPECT_EQ(weight_bytes(folder.path()), 0u);
  write_text(folder / "model-00001-of-00002.safetensors", std::string(100, 'x'));
  write_text(folder / "model-00002-of-00002.safetensors", std::string(50, 'x'));
  write_text(folder / "tokenizer.model", std::string(7, 'x'));
  std::filesystem::create_directory(folder / "a.safetensors");
  EXPECT_EQ(weight_bytes(folder.path()), 150u);
  EXPECT_EQ(weight_bytes(folder / "model-00002-of-00002.safetensors"), 50u);
  EXPECT_EQ(weight_bytes(folder / "nowhere"), 0u);
}

// The cache of this process's environment is its user's, so it is another's here.
TEST(ProvenKernels, OfThisMachineAreItsBest) {
  TemporaryFolder folder;
  setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  const bool is_checked = available_kernels().size() > 1;
  for (int start = 0; start < 2; ++start) {
    const ProvenKernels proven = proven_kernels(folder / "no model");
    EXPECT_EQ(proven.kernels, &best_kernels());
    EXPECT_EQ(proven.note, "");
    const std::string kept = read_bytes(folder / "paligemma/proven-kernels");
    EXPECT_EQ(count_lines(kept), is_checked ? 1u : 0u) << kept;
  }
}

}  // namespace
}  // namespace paligemma
