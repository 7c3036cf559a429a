#include "fast/tensor/residual_add.h"

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

const Fast fast({.threads = 2});

// One addition, which rounds in one way. 13 rows of 4304 keep several threads busy.
TEST(FastResidualAdd, EqualsReference) {
  for (Index T : {1, 2, 5, 13}) {
    for (Index D : {1, 3, 72, 1152, 4304}) {
      const auto branch = random<float, 2>({T, D}, 1);
      auto x = random<float, 2>({T, D}, 2), expected = random<float, 2>({T, D}, 2);
      residual_add(reference, branch.view(), expected.view());
      residual_add(fast, branch.view(), x.view());
      EXPECT_TRUE(close(x.view(), expected.view(), kExact)) << "T = " << T << ", D = " << D;
    }
  }
}

// Rows that are part of wider ones, and begin where no register would like to.
TEST(FastResidualAdd, MayAddAWindowToAWindow) {
  for (Index D : {1, 3, 72}) {
    const auto branch = random<float, 2>({5, D + 2}, 1);
    auto x = random<float, 2>({5, D + 3}, 2), expected = random<float, 2>({5, D + 3}, 2);
    const View<const float, 2> from(&branch.view()(0, 1), {5, D}, {D + 2, 1});
    residual_add(reference, from, View<float, 2>(&expected.view()(0, 1), {5, D}, {D + 3, 1}));
    residual_add(fast, from, View<float, 2>(&x.view()(0, 1), {5, D}, {D + 3, 1}));
    EXPECT_TRUE(close(x.view(), expected.view(), kExact)) << "D = " << D;
  }
}

TEST(FastResidualAdd, TakesNoTokens) {
  const Buffer<float, 2> branch({0, 7});
  Buffer<float, 2> x({0, 7});
  EXPECT_NO_THROW(residual_add(fast, branch.view(), x.view()));
}

TEST(FastResidualAdd, RejectsWrongShapes) {
  const Buffer<float, 2> narrow({3, 6}), short_one({2, 7}), wide({3, 14});
  Buffer<float, 2> x({3, 7});
  const View<const float, 2> every_second(wide.view().data(), {3, 7}, {14, 2});
  EXPECT_THROW(residual_add(fast, narrow.view(), x.view()), ContractError);
  EXPECT_THROW(residual_add(fast, short_one.view(), x.view()), ContractError);
  EXPECT_THROW(residual_add(fast, every_second, x.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
