#include "zeta/alibi.h"

#include <cmath>

#include "tensor/scaled_dot_product_attention.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/zeta_tables.h"

namespace paligemma {
namespace {

using namespace test;

// docs/zeta/alibi.md, "By hand".
TEST(Alibi, WorkedExample) {
  EXPECT_EQ(alibi_slopes(3), (std::vector<float>{0.0625f, 0.00390625f, 0.25f}));
  const auto slopes = alibi(3, 5);
  EXPECT_TRUE(close(slopes.view(), vector_of({1 / 16.0, 1 / 256.0, 1 / 4.0, 0, 0}).view(), kExact));
  const DistanceBias<> bias{.slope = slopes.view(), .first_query = 3};
  const DistanceBiasOfKernel at(bias);
  const float of_head_2[] = {-0.75f, -0.5f, -0.25f, 0, -0.25f, -0.5f, -0.75f};
  for (Index s = 0; s < 7; ++s) EXPECT_EQ(at.at(0, 2, s), of_head_2[s]) << "key " << s;
}

// Of a power of 2, every slope is the first one times the slope before it.
TEST(Alibi, SlopesOfAPowerOfTwoAreGeometric) {
  EXPECT_EQ(alibi_slopes(1), (std::vector<float>{0x1p-8f}));
  EXPECT_EQ(alibi_slopes(2), (std::vector<float>{0x1p-4f, 0x1p-8f}));
  EXPECT_EQ(alibi_slopes(4), (std::vector<float>{0x1p-2f, 0x1p-4f, 0x1p-6f, 0x1p-8f}));
  EXPECT_EQ(alibi_slopes(8), (std::vector<float>{0x1p-1f, 0x1p-2f, 0x1p-3f, 0x1p-4f, 0x1p-5f,
                                                 0x1p-6f, 0x1p-7f, 0x1p-8f}));
}

// _get_slopes of x-transformers, word for word.
std::vector<double> slopes_of_a_power_of_2(Index n) {
  const double start = std::pow(2, -std::pow(2, -(std::log2(n) - 3)));
  std::vector<double> slopes;
  for (Index i = 0; i < n; ++i) slopes.push_back(start * std::pow(start, i));
  return slopes;
}

std::vector<double> slopes_of(Index heads) {
  const auto closest = static_cast<Index>(std::pow(2, std::floor(std::log2(heads))));
  std::vector<double> slopes = slopes_of_a_power_of_2(closest);
  const std::vector<double> twice_as_many = slopes_of_a_power_of_2(2 * closest);
  for (Index i = 0; i < heads - closest; ++i) slopes.push_back(twice_as_many[2 * i]);
  return slopes;
}

// Of two ways to the same number in double, one may be rounded to the float next to the other's.
TEST(Alibi, MatchesTheDefinition) {
  for (Index heads = 1; heads <= 257; ++heads) {
    const std::vector<float> actual = alibi_slopes(heads);
    const std::vector<double> expected = slopes_of(heads);
    ASSERT_EQ(actual.size(), expected.size());
    for (Index n = 0; n < heads; ++n) {
      EXPECT_NEAR(actual[n], expected[n], expected[n] * kUnitRoundoff * (1 + 1e-6))
          << "head " << n << " of " << heads;
    }
  }
}

TEST(Alibi, IsWhatZetaComputes) {
  for (Index heads = 1; heads <= 16; ++heads) {
    const std::string two_digits = (heads < 10 ? "0" : "") + std::to_string(heads);
    EXPECT_EQ(alibi_slopes(heads), zeta_table("out/alibi_slopes/" + two_digits).numbers);
  }
  const NpyArray expected = zeta_table("out/alibi_bias");  // 3 of 5 heads, 4 queries, 7 keys
  const auto slopes = alibi(3, 5);
  const DistanceBias<> bias{.slope = slopes.view(), .first_query = 3};
  const DistanceBiasOfKernel at(bias);
  for (Index i = 0; i < 5 * 4 * 7; ++i) {
    EXPECT_EQ(at.at(i / 7 % 4, i / 28, i % 7), expected.numbers[i]) << "flat index " << i;
  }
}

TEST(Alibi, GivesNoSlopeToTheLastHeads) {
  const auto half = alibi(4, 8);
  EXPECT_TRUE(
      close(half.view(), vector_of({0x1p-2, 0x1p-4, 0x1p-6, 0x1p-8, 0, 0, 0, 0}).view(), kExact));
  const auto all = alibi(8, 8);
  const std::vector<float> slopes = alibi_slopes(8);
  for (Index n = 0; n < 8; ++n) EXPECT_EQ(all.view()(n), slopes[n]);
}

// Keys and their values in another order: heads that have no slope do not notice.
TEST(Alibi, OtherHeadsDoNotSeeDistance) {
  const Index T = 2, S = 5, N = 4, H = 3;
  const auto q = random<float, 3>({T, N, H}, 1), k = random<float, 3>({S, N, H}, 2),
             v = random<float, 3>({S, N, H}, 3);
  Buffer<float, 3> k_backwards({S, N, H}), v_backwards({S, N, H});
  for (Index s = 0; s < S; ++s) {
    copy(reference, k.view().row(s), k_backwards.view().row(S - 1 - s));
    copy(reference, v.view().row(s), v_backwards.view().row(S - 1 - s));
  }
  const auto slopes = alibi(3, N);
  Buffer<float, 3> forwards({T, N, H}), backwards({T, N, H});
  const DistanceBias<> bias{.slope = slopes.view(), .first_query = S - T};
  scaled_dot_product_attention(reference, q.view(), k.view(), v.view(), {}, {1}, forwards.view(),
                               bias);
  scaled_dot_product_attention(reference, q.view(), k_backwards.view(), v_backwards.view(), {}, {1},
                               backwards.view(), bias);
  for (Index n = 0; n < N; ++n) {
    for (Index t = 0; t < T; ++t) {
      const auto same = close(backwards.view().row(t).row(n), forwards.view().row(t).row(n),
                              twice(float_sum_of(S + H, 1)));
      EXPECT_EQ(static_cast<bool>(same), n == 3) << "head " << n << ", query " << t;
    }
  }
}

TEST(Alibi, RejectsNoHeadsAndMoreSlopesThanHeads) {
  EXPECT_THROW(alibi_slopes(0), ContractError);
  EXPECT_THROW(alibi_slopes(-1), ContractError);
  EXPECT_THROW(alibi(0, 4), ContractError);
  EXPECT_THROW(alibi(5, 4), ContractError);
}

}  // namespace
}  // namespace paligemma
