// Weights changed by an adapter, row by row.
#include "paligemma/low_rank.h"

#include "tests/support/compare.h"

namespace paligemma {
namespace {

using namespace test;

class LowRankOf : public ::testing::Test {
 protected:
  std::vector<float> row(const LowRank& change, Index p) const {
    std::vector<float> numbers(3);
    change.changed_row(weights_, p, numbers);
    return numbers;
  }

  const std::vector<float> numbers_{3, 4, 0, 0, 0, 2};
  const WeightEntry weights_{WeightFormat::f32, {2, 3}, std::as_bytes(std::span(numbers_))};
  const LowRank change_{{1, 2}, {10, 0, -1}};  // one column, one row
};

TEST_F(LowRankOf, ARowIsItsOwnAndTheProducts) {
  EXPECT_EQ(row(change_, 0), (std::vector<float>{13, 4, -1}));
  EXPECT_EQ(row(change_, 1), (std::vector<float>{20, 0, 0}));
  EXPECT_EQ(row(LowRank(), 0), (std::vector<float>{3, 4, 0}));
}

TEST_F(LowRankOf, MagnitudesScaleTheWeightsAlone) {
  LowRank change = change_;
  change.magnitude = {2, 3};
  EXPECT_EQ(row(change, 0), (std::vector<float>{16, 8, -1}));
  EXPECT_EQ(row(change, 1), (std::vector<float>{20, 0, 4}));
  change.magnitude = {2, 3, 5};
  change.of_columns = true;
  EXPECT_EQ(row(change, 0), (std::vector<float>{16, 12, -1}));
  EXPECT_EQ(row(change, 1), (std::vector<float>{20, 0, 8}));
}

// Without magnitudes, which are what lengths are for.
TEST_F(LowRankOf, LengthsAreOfChangedRowsOrColumns) {
  LowRank change = change_;
  change.magnitude = {7, 7};
  const auto rows = change.lengths(weights_);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_FLOAT_EQ(rows[0], std::sqrt(186.0f));
  EXPECT_FLOAT_EQ(rows[1], 20);
  change.magnitude = {7, 7, 7};
  change.of_columns = true;
  const auto columns = change.lengths(weights_);
  ASSERT_EQ(columns.size(), 3u);
  EXPECT_FLOAT_EQ(columns[0], std::sqrt(569.0f));
  EXPECT_FLOAT_EQ(columns[1], 4);
  EXPECT_FLOAT_EQ(columns[2], 1);
}

TEST_F(LowRankOf, TransposedHasColumnsForRows) {
  EXPECT_EQ(transposed(std::vector<float>{1, 2, 3, 4, 5, 6}, 2, 3),
            (std::vector<float>{1, 4, 2, 5, 3, 6}));
}

}  // namespace
}  // namespace paligemma
