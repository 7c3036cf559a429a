#include "zeta/sinusoid.h"

#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

// Positions first, first + 1, ...
Buffer<int, 1> from(int first, Index T) {
  Buffer<int, 1> positions({T});
  for (Index t = 0; t < T; ++t) positions.view()(t) = first + static_cast<int>(t);
  return positions;
}

// How far a wave may be off: the angle is rounded twice, in the frequency and in the product, each time by at
// most half a unit in the last place; then the wave, its product with the scale, and the sum.
Tolerance wave(Index position) { return float_sum_of(2, 2 + static_cast<double>(position)); }

// docs/zeta/sinusoid.md, "By hand".
TEST(Sinusoid, WorkedExample) {
  auto y = rows_of({{1, 2, 3, 4}});
  const auto positions = from(3, 1);
  sinusoid(reference, positions.view(), 0.5f, y.view());
  const auto expected = rows_of({{1.07056, 2.01499775, 2.50500375, 4.49977502}});
  EXPECT_TRUE(close(y.view(), expected.view(), wave(3)));
}

// x-transformers 1.19.0, ScaledSinusoidalEmbedding(10), rows 0 to 6.
TEST(Sinusoid, MatchesXTransformers) {
  const auto expected =
      rows_of({{0, 0, 0, 0, 0, 0.31622776, 0.31622776, 0.31622776, 0.31622776, 0.31622776},
               {0.26609647, 0.049909163, 0.0079424465, 0.0012589218, 0.00019952618, 0.17085861,
                0.31226441, 0.31612799, 0.31622526, 0.3162277},
               {0.28754508, 0.098567292, 0.015879882, 0.0025178238, 0.00039905228, -0.13159719,
                0.30047378, 0.3158288, 0.31621775, 0.31622753},
               {0.044626061, 0.14475469, 0.023807298, 0.003776686, 0.00059857819, -0.31306311,
                0.28115135, 0.31533033, 0.3162052, 0.3162272},
               {-0.23932196, 0.18731363, 0.031719696, 0.0050354879, 0.00079810392, -0.20670025,
                0.25478145, 0.31463289, 0.31618768, 0.31622675},
               {-0.30323848, 0.22517732, 0.039612077, 0.00629421, 0.00099762937, 0.089701861,
                0.22202517, 0.31373695, 0.31616512, 0.31622621},
               {-0.088358939, 0.25739661, 0.047479469, 0.0075528333, 0.0011971543, 0.3036325,
                0.18370354, 0.31264308, 0.31613755, 0.3162255}});
  Buffer<float, 2> y({7, 10});
  const auto positions = from(0, 7);
  sinusoid(reference, positions.view(), 0.31622776f, y.view());
  EXPECT_TRUE(close(y.view(), expected.view(), twice(wave(7))));
}

TEST(Sinusoid, PositionZeroAddsTheScaleToTheUpperHalf) {
  auto y = rows_of({{1, 2, 3, 4}});
  const auto positions = from(0, 1);
  sinusoid(reference, positions.view(), 0.25f, y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{1, 2, 3.25, 4.25}}).view(), kExact));
}

TEST(Sinusoid, RowsHaveThePositionsThatTheyAreGiven) {
  const Index E = 8;
  Buffer<float, 2> in_order({10, E}), picked({3, E});
  const auto all = from(0, 10);
  sinusoid(reference, all.view(), 1, in_order.view());
  Buffer<int, 1> positions({3});
  positions.view()(0) = 7, positions.view()(1) = 0, positions.view()(2) = 7;
  sinusoid(reference, View<const int, 1>(positions.view()), 1, picked.view());
  for (Index t = 0; t < 3; ++t) {
    EXPECT_TRUE(close(picked.view().row(t), in_order.view().row(positions.view()(t)), kExact));
  }
}

// With E = 4 the second frequency is 1/100, which no float is: see Rope.FrequenciesAndAnglesAreFloat.
TEST(Sinusoid, FrequenciesAndAnglesAreFloat) {
  Buffer<float, 2> y({1, 4});
  const auto positions = from(7019, 1);
  sinusoid(reference, positions.view(), 1, y.view());
  EXPECT_NEAR(y.view()(0, 1), std::sin(double{7019.0f * 0.01f}), float_sum_of(2).relative);
  EXPECT_GT(std::abs(y.view()(0, 1) - std::sin(70.19)), float_sum_of(2).relative);
}

// The definition again, in double; 10000^(-2i/E) is exp(-log(10000) 2i/E).
TEST(Sinusoid, MatchesTheDefinition) {
  for (Index E : {2, 6, 10, 256, 512}) {
    for (Index T : {1, 7, 255, 257}) {
      const auto before = random<float, 2>({T, E}, 1);
      auto y = random<float, 2>({T, E}, 1);
      const auto positions = from(5, T);
      sinusoid(reference, positions.view(), 0.75f, y.view());
      Buffer<float, 2> expected({T, E});
      for (Index t = 0; t < T; ++t) {
        for (Index d = 0; d < E; ++d) {
          const double i = static_cast<double>(d % (E / 2));
          const double angle = static_cast<double>(t + 5) *
                               std::exp(-std::log(10000.0) * 2 * i / static_cast<double>(E));
          const double of_it = d < E / 2 ? std::sin(angle) : std::cos(angle);
          expected.view()(t, d) = static_cast<float>(before.view()(t, d) + 0.75 * of_it);
        }
      }
      EXPECT_TRUE(close(y.view(), expected.view(), wave(T + 5))) << "T = " << T << ", E = " << E;
    }
  }
}

TEST(Sinusoid, RejectsWrongShapes) {
  const auto three = from(0, 3), two = from(0, 2);
  Buffer<float, 2> y({3, 4}), odd({3, 5});
  EXPECT_NO_THROW(sinusoid(reference, three.view(), 1, y.view()));
  EXPECT_THROW(sinusoid(reference, two.view(), 1, y.view()), ContractError);
  EXPECT_THROW(sinusoid(reference, three.view(), 1, odd.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
