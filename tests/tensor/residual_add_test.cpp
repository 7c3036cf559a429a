#include "tensor/residual_add.h"

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

// docs/tensor/residual_add.md, "By hand".
TEST(ResidualAdd, WorkedExample) {
  const auto branch = rows_of({{0.5, -2, 0}, {1, 1, 1}});
  auto x = rows_of({{1, 2, 3}, {4, 5, 6}});
  residual_add(reference, branch.view(), x.view());
  EXPECT_TRUE(close(x.view(), rows_of({{1.5, 0, 3}, {5, 6, 7}}).view(), kExact));
}

TEST(ResidualAdd, OfNothingChangesNothing) {
  auto x = random<float, 2>({3, 7}, 1);
  const auto before = random<float, 2>({3, 7}, 1);
  const Buffer<float, 2> zero({3, 7});
  residual_add(reference, zero.view(), x.view());
  EXPECT_TRUE(close(x.view(), before.view(), kExact));
}

// In bf16, where 1 ulp at 256 is 2, the stream would stay at 256 however many branches add 1.
TEST(ResidualAdd, KeepsSmallBranchesOfALargeStream) {
  const auto branch = rows_of({{1}});
  auto x = rows_of({{256}});
  for (int layer = 0; layer < 36; ++layer) residual_add(reference, branch.view(), x.view());
  EXPECT_EQ(x.view()(0, 0), 292);
}

TEST(ResidualAdd, LeavesTheBranchAlone) {
  const auto branch = random<float, 2>({3, 7}, 2), before = random<float, 2>({3, 7}, 2);
  auto x = random<float, 2>({3, 7}, 1);
  residual_add(reference, branch.view(), x.view());
  EXPECT_TRUE(close(branch.view(), before.view(), kExact));
}

TEST(ResidualAdd, MayAddToAWindow) {
  const auto branch = rows_of({{1, 2}, {3, 4}});
  auto wide = rows_of({{10, 10, 10}, {20, 20, 20}});
  residual_add(reference, branch.view(), View<float, 2>(wide.view().data(), {2, 2}, {3, 1}));
  EXPECT_TRUE(close(wide.view(), rows_of({{11, 12, 10}, {23, 24, 20}}).view(), kExact));
}

TEST(ResidualAdd, RejectsABranchOfAnotherShape) {
  const auto short_branch = random<float, 2>({3, 6}, 1), few_rows = random<float, 2>({2, 7}, 1);
  auto x = random<float, 2>({3, 7}, 1);
  EXPECT_THROW(residual_add(reference, short_branch.view(), x.view()), ContractError);
  EXPECT_THROW(residual_add(reference, few_rows.view(), x.view()), ContractError);
}

// 1152 is SigLIP, 2048 is Gemma 2B; the rest are the sizes that break kernels. The sum of two such
// floats is exact in double, so both sides round once and to the same float.
TEST(ResidualAdd, MatchesTheDefinition) {
  for (Index D : {1, 7, 255, 257, 1152, 2048}) {
    const auto branch = random<float, 2>({3, D}, 1);
    auto x = random<float, 2>({3, D}, 2);
    Buffer<float, 2> expected({3, D});
    for (Index i = 0; i < 3 * D; ++i) {
      const double sum = double{x.view().data()[i]} + branch.view().data()[i];
      expected.view().data()[i] = static_cast<float>(sum);
    }
    residual_add(reference, branch.view(), x.view());
    EXPECT_TRUE(close(x.view(), expected.view(), kExact)) << "D = " << D;
  }
}

}  // namespace
}  // namespace paligemma
