#include "train/clip_by_norm.h"

#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

// docs/train/clip_by_norm.md, "By hand".
TEST(ClipByNorm, WorkedExample) {
  auto a = rows_of({{3}}), b = rows_of({{0, 4}});
  const std::vector<View<float, 2>> all{a.view(), b.view()};
  const double norm = global_norm(reference, all);
  EXPECT_EQ(norm, 5);
  clip_by_norm(reference, norm, 1, all);
  EXPECT_TRUE(close(a.view(), rows_of({{0.6}}).view(), {1e-6}));
  EXPECT_TRUE(close(b.view(), rows_of({{0, 0.8}}).view(), {1e-6}));
}

// torch 2.13.0: 0.9 stays; 1 becomes 0.99999905, 2 0.49999976 of itself.
TEST(ClipByNorm, IsTorchs) {
  for (const auto& [before, after] :
       {std::pair{0.9f, 0.9f}, std::pair{1.0f, 0.99999905f}, std::pair{2.0f, 2 * 0.49999976f}}) {
    Buffer<float, 2> g({1, 1});
    g.view()(0, 0) = before;
    const std::vector<View<float, 2>> all{g.view()};
    clip_by_norm(reference, global_norm(reference, all), 1, all);
    EXPECT_EQ(g.view()(0, 0), after);
  }
}

TEST(ClipByNorm, SumsUpInDouble) {
  Buffer<float, 2> g({1000, 1000});
  for (Index i = 0; i < 1'000'000; ++i) g.view().data()[i] = 0.1f;
  const std::vector<View<float, 2>> all{g.view()};
  EXPECT_NEAR(global_norm(reference, all), 1000 * double{0.1f}, 1e-9);
}

TEST(ClipByNorm, LeavesWhatIsNoNumberToTheCaller) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  auto g = rows_of({{1, 2}});
  g.view()(0, 1) = nan;
  const std::vector<View<float, 2>> all{g.view()};
  const double norm = global_norm(reference, all);
  EXPECT_TRUE(std::isnan(norm));
  clip_by_norm(reference, norm, 1, all);
  EXPECT_EQ(g.view()(0, 0), 1);
}

TEST(ClipByNorm, RejectsNoLength) {
  EXPECT_THROW(clip_by_norm(reference, 1, 0, {}), ContractError);
  EXPECT_EQ(global_norm(reference, {}), 0);
}

}  // namespace
}  // namespace paligemma
