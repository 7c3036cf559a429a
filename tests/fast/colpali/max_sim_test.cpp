#include "fast/colpali/max_sim.h"

#include "tests/support/instruction_sets.h"
#include "tests/support/pages.h"

namespace paligemma {
namespace {

using namespace test;

class FastMaxSim : public OnEveryInstructionSet {
 protected:
  // A rounding of each number of q moves a product of unit rows by half a unit of bf16, 2^-9, at most.
  template <class Row>
  Tolerance tolerance(Index T, Index W) const {
    const Tolerance sums = twice(float_sum_of(W + T, static_cast<double>(T)));
    const double rounding = std::is_same_v<Row, bf16> && rounds_to_bf16() ? 0x1p-9 : 0;
    return {sums.relative, sums.absolute + rounding * static_cast<double>(T)};
  }
  template <class Row>
  void expect_matches_reference(Index T, Index W, std::initializer_list<Index> first) {
    const auto q = unit_rows_of<float>(T, W, 1);
    const auto places = places_of(first);
    const auto rows = unit_rows_of<Row>(*std::prev(first.end()), W, 2);
    Buffer<float, 1> expected({places.view().size(0) - 1}), scores({places.view().size(0) - 1});
    max_sim(reference, q.view(), rows.view(), places.view(), expected.view());
    max_sim(fast, q.view(), rows.view(), places.view(), scores.view());
    EXPECT_TRUE(close(scores.view(), expected.view(), tolerance<Row>(T, W)))
        << "T = " << T << ", W = " << W;
  }
  // Of queries and pages, an even and an odd number of features.
  template <class Row>
  void expect_takes_wider_rows() {
    const auto wide_q = unit_rows_of<float>(21, 40, 1);
    const auto wide = unit_rows_of<Row>(30, 40, 2);
    const auto first = places_of({0, 17, 30});
    for (const Index W : {20, 23}) {
      const View<const float, 2> q(wide_q.view().data(), {21, W}, {40, 1});
      const View<const Row, 2> rows(wide.view().data(), {30, W}, {40, 1});
      Buffer<float, 1> expected({2}), scores({2});
      max_sim(reference, q, rows, first.view(), expected.view());
      max_sim(fast, q, rows, first.view(), scores.view());
      EXPECT_TRUE(close(scores.view(), expected.view(), tolerance<Row>(21, W))) << "W = " << W;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, FastMaxSim, kInstructionSets, instruction_set_name);

TEST_P(FastMaxSim, MatchesReference) {
  for (const Index T : {1, 5, 24, 33}) {
    for (const Index W : {1, 7, 128, 257}) {
      expect_matches_reference<float>(T, W, {0, 1, 8, 73, 75});
      expect_matches_reference<bf16>(T, W, {0, 1, 8, 73, 75});
      expect_matches_reference<f16>(T, W, {0, 1, 8, 73, 75});
    }
  }
}

// Products of all pages are more than are kept at a time, those of one page too.
TEST_P(FastMaxSim, TakesMoreThanFitsAtOnce) {
  expect_matches_reference<bf16>(64, 8, {0, 1500, 4100, 4101, 9000, 9030});
}

TEST_P(FastMaxSim, BeginsWhereTheFirstPageDoes) {
  const auto q = unit_rows_of<float>(5, 16, 1), rows = unit_rows_of<float>(30, 16, 2);
  Buffer<float, 1> expected({1}), score({1});
  const auto first = places_of({4, 21});
  max_sim(reference, q.view(), rows.view(), first.view(), expected.view());
  max_sim(fast, q.view(), rows.view(), first.view(), score.view());
  EXPECT_TRUE(close(score.view(), expected.view(), twice(float_sum_of(21, 5))));
}

TEST_P(FastMaxSim, TakesRowsThatArePartOfSomething) {
  expect_takes_wider_rows<float>();
  expect_takes_wider_rows<bf16>();
}

TEST_P(FastMaxSim, TakesNoQueryAndNoPage) {
  const auto rows = unit_rows_of<float>(3, 4, 1);
  auto scores = vector_of({7, 7});
  max_sim(fast, Buffer<float, 2>({0, 4}).view(), rows.view(), places_of({0, 2, 3}).view(),
          scores.view());
  EXPECT_TRUE(close(scores.view(), vector_of({0, 0}).view(), kExact));
  EXPECT_NO_THROW(
      max_sim(fast, rows.view(), rows.view(), places_of({0}).view(), Buffer<float, 1>({0}).view()));
}

TEST_P(FastMaxSim, RejectsWhatIsNoPages) {
  const auto rows = unit_rows_of<float>(3, 4, 1);
  Buffer<float, 1> scores({2});
  EXPECT_THROW(max_sim(fast, rows.view(), rows.view(), places_of({0, 2, 2}).view(), scores.view()),
               ContractError);
}

}  // namespace
}  // namespace paligemma
