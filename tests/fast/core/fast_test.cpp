#include "fast/core/fast.h"

#include <gtest/gtest.h>

#include <concepts>

#include "fast/core/kernels.h"
#include "fast/core/processors.h"
#include "fast/from_reference.h"
#include "fast/gemma/rope_table.h"
#include "fast/paligemma/model.h"
#include "tensor/execution.h"

namespace paligemma {
namespace {

// An operation that an executor lacks does not compile.
[[maybe_unused]] void only_of_the_reference(Reference) {}
template <class On>
concept HasIt = requires(const On& on) {
  only_of_the_reference(on);
};
static_assert(HasIt<Reference> && !HasIt<Fast>);
static_assert(!std::convertible_to<Fast, Reference> && !std::convertible_to<Reference, Fast>);
static_assert(OnHost<Reference> && OnHost<Fast>);

TEST(FastExecutor, TakesTheBestKernelsAndAllProcessors) {
  const Fast fast;
  EXPECT_EQ(&fast.kernels(), available_kernels().front());
  EXPECT_EQ(fast.threads(), usable_processors());
}

TEST(FastExecutor, DoesWhatItIsTold) {
  const Kernels& portable = *available_kernels().back();
  const Fast fast({.kernels = &portable, .threads = 3});
  EXPECT_EQ(fast.kernels().name, "portable");
  EXPECT_EQ(fast.threads(), 3);
}

TEST(FastExecutor, SharesItsMemoryWithCopiesAlone) {
  const Fast fast({.threads = 1}), other({.threads = 1});
  const Fast copy = fast;  // NOLINT(performance-unnecessary-copy-initialization)
  EXPECT_EQ(copy.scratch(0, Scratch::rows, 100), fast.scratch(0, Scratch::rows, 100));
  EXPECT_NE(other.scratch(0, Scratch::rows, 100), fast.scratch(0, Scratch::rows, 100));
  EXPECT_NE(&other.rope_table(10000, 8, 1), &fast.rope_table(10000, 8, 1));
}

TEST(FastExecutor, KeepsATableForEachThetaAndHeadSize) {
  const Fast fast({.threads = 1});
  const RopeTable& table = fast.rope_table(10000, 8, 1);
  EXPECT_EQ(&fast.rope_table(10000, 8, 300), &table);
  EXPECT_NE(&fast.rope_table(10000, 6, 1), &table);
  EXPECT_NE(&fast.rope_table(500, 8, 1), &table);
}

}  // namespace
}  // namespace paligemma
