#include "tensor/unit_rows.h"

#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

const View<const float, 1> kNoScale;

// docs/tensor/unit_rows.md, "By hand".
TEST(UnitRows, WorkedExample) {
  const auto x = rows_of({{3, 4, 5, -12}});
  const auto scale = vector_of({1, 1, 13, 0.5});
  Buffer<float, 2> y({1, 4});
  unit_rows(reference, x.view(), {.groups = 2}, scale.view(), y.view());
  const auto expected = rows_of({{0.6, 0.8, 5, -0.46153846}});
  EXPECT_TRUE(close(y.view(), expected.view(), float_sum_of(2)));
}

// x-transformers 1.19.0, l2norm(..., groups = 4), of these 28 numbers.
TEST(UnitRows, MatchesXTransformers) {
  const auto x = rows_of(
      {{-1.6054688, 0.4855957,  -3.3125,    1.3125,      2.2871094,   -0.90527344, 0.86083984,
        0.5019531,  -0.7885742, -1.7246094, -4.0664062,  2.8203125,   -0.09527588, 5.0429688,
        1.6523438,  0.55566406, -1.3144531, 2.7851562,   -1.0126953,  3.140625,    -0.796875,
        0.37182617, -3.0449219, 4.6875,     -0.18811035, -0.77001953, 1.6220703,   -1.7832031}});
  const auto expected =
      rows_of({{-0.33997628,  0.10283042,  -0.7014596,  0.27793682,  0.48432145,  -0.19170196,
                0.18229264,   0.06844768,  -0.10753211, -0.23517238, -0.5545061,  0.3845854,
                -0.012992076, 0.6876728,   0.3369467,   0.11331127,  -0.26804388, 0.5679503,
                -0.20650929,  0.64043766,  -0.16249911, 0.060460176, -0.49511448, 0.76220316,
                -0.030587371, -0.12520775, 0.26375404,  -0.28995478}});
  Buffer<float, 2> y({1, 28});
  unit_rows(reference, x.view(), {.groups = 4}, kNoScale, y.view());
  EXPECT_TRUE(close(y.view(), expected.view(), twice(float_sum_of(7))));
}

TEST(UnitRows, OneGroupIsTheWholeRow) {
  const auto x = rows_of({{2, -1, 2}, {0, 0, 7}});
  Buffer<float, 2> y({2, 3});
  unit_rows(reference, x.view(), {}, kNoScale, y.view());
  const auto expected = rows_of({{2.0 / 3, -1.0 / 3, 2.0 / 3}, {0, 0, 1}});
  EXPECT_TRUE(close(y.view(), expected.view(), float_sum_of(3)));
}

TEST(UnitRows, ZerosStayZeros) {
  const auto x = rows_of({{0, 0, 3, 4}});
  Buffer<float, 2> y({1, 4});
  unit_rows(reference, x.view(), {.groups = 2}, kNoScale, y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{0, 0, 0.6, 0.8}}).view(), float_sum_of(2)));
}

// A length of 5e-6 below a floor of 1e-5, and above one of 1e-6.
TEST(UnitRows, DividesByTheFloorWhatIsShorter) {
  const auto x = rows_of({{3e-6, -4e-6}});
  Buffer<float, 2> y({1, 2});
  unit_rows(reference, x.view(), {1, 1e-5f}, kNoScale, y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{0.3, -0.4}}).view(), float_sum_of(2)));
  unit_rows(reference, x.view(), {1, 1e-6f}, kNoScale, y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{0.6, -0.8}}).view(), float_sum_of(2)));
}

TEST(UnitRows, IgnoresTheScaleOfItsInput) {
  const auto x = rows_of({{1, -2, 3}}), x_times_1024 = rows_of({{1024, -2048, 3072}});
  Buffer<float, 2> y({1, 3}), y_1024({1, 3});
  unit_rows(reference, x.view(), {}, kNoScale, y.view());
  unit_rows(reference, x_times_1024.view(), {}, kNoScale, y_1024.view());
  EXPECT_TRUE(close(y.view(), y_1024.view(), kExact));
}

// Heads side by side are groups of a row, or rows of their own.
TEST(UnitRows, HeadsAreRowsOrGroups) {
  const Index T = 3, N = 5, H = 8;
  const auto x = random<float, 2>({T, N * H}, 1);
  Buffer<float, 2> as_groups({T, N * H}), as_rows({T * N, H});
  unit_rows(reference, x.view(), {.groups = N}, kNoScale, as_groups.view());
  unit_rows(reference, x.view().reshaped<2>({T * N, H}), {}, kNoScale, as_rows.view());
  EXPECT_TRUE(close(as_rows.view().reshaped<2>({T, N * H}), as_groups.view(), kExact));
}

TEST(UnitRows, MayWriteInPlace) {
  auto x = random<float, 2>({3, 64}, 1);
  const auto scale = random<float, 1>({64}, 2);
  Buffer<float, 2> y({3, 64});
  unit_rows(reference, x.view(), {.groups = 4}, scale.view(), y.view());
  unit_rows(reference, x.view(), {.groups = 4}, scale.view(), x.view());
  EXPECT_TRUE(close(x.view(), y.view(), kExact));
}

// Queries inside a wider row: what stands beside them stays.
TEST(UnitRows, TakesRowsThatArePartOfSomething) {
  auto wide = random<float, 2>({3, 10}, 1);
  const auto before = random<float, 2>({3, 10}, 1);
  const View<float, 2> window(&wide.view()(0, 1), {3, 8}, {10, 1});
  Buffer<float, 2> expected({3, 8});
  unit_rows(reference, View<const float, 2>(window), {.groups = 2}, kNoScale, expected.view());
  unit_rows(reference, window, {.groups = 2}, kNoScale, window);
  for (Index t = 0; t < 3; ++t) {
    for (Index d = 0; d < 10; ++d) {
      const bool inside = d >= 1 && d < 9;
      EXPECT_EQ(wide.view()(t, d), inside ? expected.view()(t, d - 1) : before.view()(t, d));
    }
  }
}

TEST(UnitRows, RejectsWrongShapes) {
  const auto x = random<float, 2>({3, 64}, 1);
  const auto short_scale = random<float, 1>({63}, 2);
  Buffer<float, 2> y({3, 64}), short_y({2, 64});
  EXPECT_NO_THROW(unit_rows(reference, x.view(), {}, kNoScale, y.view()));
  EXPECT_THROW(unit_rows(reference, x.view(), {}, short_scale.view(), y.view()), ContractError);
  EXPECT_THROW(unit_rows(reference, x.view(), {}, kNoScale, short_y.view()), ContractError);
  EXPECT_THROW(unit_rows(reference, x.view(), {.groups = 5}, kNoScale, y.view()), ContractError);
  EXPECT_THROW(unit_rows(reference, x.view(), {.groups = 0}, kNoScale, y.view()), ContractError);
}

// The definition again, in double. It shares no code with what it judges.
template <class Weight>
Buffer<float, 2> oracle(View<const float, 2> x, Index groups, View<const Weight, 1> scale) {
  const Index W = x.size(1), size = W / groups;
  Buffer<float, 2> y(x.shape());
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index d = 0; d < W; ++d) {
      double sum_sq = 0;
      for (Index i = 0; i < size; ++i) sum_sq += std::pow(x(t, d - d % size + i), 2);
      y.view()(t, d) = static_cast<float>(x(t, d) / std::sqrt(sum_sq) * widen(scale(d)));
    }
  }
  return y;
}

template <class Weight>
class UnitRowsOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(UnitRowsOf, Weights);

// 64 is a head of zeta, 128 a row of ColPali, 512 PalmE's width; the rest are the sizes that break kernels.
TYPED_TEST(UnitRowsOf, MatchesTheDefinition) {
  struct Size {
    Index W, groups;
  };
  for (const auto [W, groups] : {Size{1, 1}, Size{7, 1}, Size{7, 7}, Size{255, 5}, Size{257, 1},
                                 Size{64, 1}, Size{128, 4}, Size{512, 8}}) {
    const auto x = random<float, 2>({3, W}, 1);
    const auto scale = random<TypeParam, 1>({W}, 2);
    Buffer<float, 2> y({3, W});
    unit_rows(reference, x.view(), {.groups = groups}, scale.view(), y.view());
    EXPECT_TRUE(
        close(y.view(), oracle(x.view(), groups, scale.view()).view(), float_sum_of(W / groups)))
        << "W = " << W << ", groups = " << groups;
  }
}

// ---- backward --------------------------------------------------------------------------------------

TEST(UnitRowsBackward, IsTheDefinitionsSlope) {
  struct Size {
    Index W, groups;
  };
  for (const auto [W, groups] : {Size{1, 1}, Size{7, 1}, Size{128, 1}, Size{40, 5}}) {
    const auto x = random<float, 2>({3, W}, 1), dy = random<float, 2>({3, W}, 2);
    auto dx = random<float, 2>({3, W}, 3);
    const Doubles before = doubles(dx);
    unit_rows_backward(reference, x.view(), {.groups = groups}, dy.view(), dx.view());
    const std::size_t size = static_cast<std::size_t>(W / groups);
    const auto y = [&](Doubles rows) {
      for (std::size_t first = 0; first < rows.size(); first += size) {
        double sum_sq = 0;
        for (std::size_t i = first; i < first + size; ++i) sum_sq += rows[i] * rows[i];
        for (std::size_t i = first; i < first + size; ++i) rows[i] /= std::sqrt(sum_sq);
      }
      return rows;
    };
    // Between the shortest group's length of 0.2 and 1 stands a factor of 5.
    EXPECT_TRUE(is_gradient(dx, before + gradient_of(y, doubles(x), doubles(dy)), 5 * W))
        << "W = " << W << ", groups = " << groups;
  }
}

// Along the row nothing changes; across it all does.
TEST(UnitRowsBackward, PassesOnWhatIsAcrossTheRow) {
  const auto x = rows_of({{3, 4}, {3, 4}}), dy = rows_of({{0.6, 0.8}, {0.8, -0.6}});
  Buffer<float, 2> dx({2, 2});
  unit_rows_backward(reference, x.view(), {}, dy.view(), dx.view());
  EXPECT_TRUE(close(dx.view(), rows_of({{0, 0}, {0.16, -0.12}}).view(), float_sum_of(4, 1)));
}

TEST(UnitRowsBackward, BelowTheFloorItIsAFactor) {
  const auto x = rows_of({{0.3, 0.4}}), dy = rows_of({{1, -7}});
  Buffer<float, 2> dx({1, 2});
  unit_rows_backward(reference, x.view(), {.floor = 2}, dy.view(), dx.view());
  EXPECT_TRUE(close(dx.view(), rows_of({{0.5, -3.5}}).view(), float_operations(2)));
  const auto zeros = rows_of({{0, 0}});
  unit_rows_backward(reference, zeros.view(), {.floor = 2}, dy.view(), dx.view());
  EXPECT_TRUE(close(dx.view(), rows_of({{1, -7}}).view(), float_operations(2)));
}

TEST(UnitRowsBackward, RejectsWrongShapes) {
  const auto x = random<float, 2>({3, 64}, 1);
  Buffer<float, 2> dx({3, 64}), short_dx({2, 64});
  const auto run = [&](UnitRule rule, View<const float, 2> dy, View<float, 2> to) {
    unit_rows_backward(reference, x.view(), rule, dy, to);
  };
  EXPECT_NO_THROW(run({}, x.view(), dx.view()));
  EXPECT_THROW(run({.groups = 5}, x.view(), dx.view()), ContractError);
  EXPECT_THROW(run({.groups = 0}, x.view(), dx.view()), ContractError);
  EXPECT_THROW(run({}, x.view().rows(0, 2), dx.view()), ContractError);
  EXPECT_THROW(run({}, x.view(), short_dx.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
