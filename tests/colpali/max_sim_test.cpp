#include "colpali/max_sim.h"

#include <cmath>
#include <limits>
#include <vector>

#include "tensor/npz.h"
#include "tests/support/compare.h"
#include "tests/support/gradients.h"
#include "tests/support/pages.h"
#include "tests/support/source_dir.h"

namespace paligemma {
namespace {

using namespace test;

// docs/colpali/max_sim.md, "By hand".
TEST(MaxSim, WorkedExample) {
  const auto q = rows_of({{1, 0}, {0.6, 0.8}});
  const auto rows = rows_of({{0.8, 0.6}, {0, 1}, {-1, 0}, {0, -1}, {-0.6, -0.8}});
  Buffer<float, 1> scores({2});
  max_sim(reference, q.view(), rows.view(), places_of({0, 2, 5}).view(), scores.view());
  EXPECT_TRUE(close(scores.view(), vector_of({1.76, -0.6}).view(), float_sum_of(4)));
}

// The definition again, in double. It shares no code with what it judges.
Doubles oracle(const Doubles& q, const Doubles& rows, View<const Index, 1> first, Index W) {
  Doubles scores;
  for (Index p = 0; p + 1 < first.size(0); ++p) {
    double sum = 0;
    for (std::size_t t = 0; t < q.size(); t += static_cast<std::size_t>(W)) {
      double best = -std::numeric_limits<double>::infinity();
      for (Index r = first(p); r < first(p + 1); ++r) {
        double product = 0;
        for (Index i = 0; i < W; ++i) {
          product += q[t + static_cast<std::size_t>(i)] * rows[static_cast<std::size_t>(r * W + i)];
        }
        best = std::max(best, product);
      }
      sum += best;
    }
    scores.push_back(sum);
  }
  return scores;
}

template <class Row>
class MaxSimOf : public ::testing::Test {};
using Rows = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(MaxSimOf, Rows);

// 128 is a row of ColPali; the rest are sizes that break kernels.
TYPED_TEST(MaxSimOf, MatchesTheDefinition) {
  for (const Index W : {1, 7, 128, 255, 257}) {
    for (const Index T : {1, 7, 33}) {
      const auto q = unit_rows_of<float>(T, W, 1);
      const auto rows = unit_rows_of<TypeParam>(1 + 7 + 65 + 2, W, 2);
      const auto first = places_of({0, 1, 8, 73, 75});
      Buffer<float, 1> scores({4});
      max_sim(reference, q.view(), rows.view(), first.view(), scores.view());
      const Doubles expected = oracle(doubles(q), doubles(rows), first.view(), W);
      EXPECT_TRUE(is_gradient(scores, expected, T + W)) << "W = " << W << ", T = " << T;
    }
  }
}

TEST(MaxSim, APagesScoreDoesNotDependOnTheOthers) {
  const auto q = unit_rows_of<float>(5, 16, 1);
  const auto rows = unit_rows_of<float>(30, 16, 2);
  Buffer<float, 1> scores({3}), score({1});
  max_sim(reference, q.view(), rows.view(), places_of({0, 4, 21, 30}).view(), scores.view());
  max_sim(reference, q.view(), rows.view(), places_of({4, 21}).view(), score.view());
  EXPECT_EQ(score.view()(0), scores.view()(1));
}

// Both originals pad pages with zeros, below which no maximum falls.
TEST(MaxSim, APageThatIsUnlikeTheQueryScoresBelowZero) {
  const auto q = rows_of({{1, 0}}), rows = rows_of({{-1, 0}, {-0.6, 0.8}, {1, 0}});
  Buffer<float, 1> scores({2});
  max_sim(reference, q.view(), rows.view(), places_of({0, 2, 3}).view(), scores.view());
  EXPECT_TRUE(close(scores.view(), vector_of({-0.6, 1}).view(), float_sum_of(2)));
}

TEST(MaxSim, APageAgainstItselfScoresItsRows) {
  const auto page = unit_rows_of<float>(37, 128, 1);
  Buffer<float, 1> score({1});
  max_sim(reference, page.view(), page.view(), places_of({0, 37}).view(), score.view());
  EXPECT_TRUE(close(score.view(), vector_of({37}).view(), float_sum_of(128)));
}

Buffer<float, 2> rows_in(NpzFile& taps, const std::string& name) {
  const NpyArray stored = taps.read(name);
  Buffer<float, 2> rows({stored.shape[0], stored.shape[1]});
  std::copy(stored.numbers.begin(), stored.numbers.end(), rows.view().data());
  return rows;
}

// transformers' score_retrieval, of both originals' rows. It pads the shorter page with zeros: a row more.
TEST(MaxSim, ScoresAsTransformersDoes) {
  for (const char* name : {"hf", "hf_old", "adapter", "merged"}) {
    NpzFile taps(source_dir() + "/tests/golden/colpali/" + name + "/taps.npz");
    const auto expected = rows_in(taps, "scores"),
               unequal = rows_in(taps, "scores_of_unequal_pages");
    const auto one = rows_in(taps, "page0/embeddings"), other = rows_in(taps, "page1/embeddings");
    const Index R = one.view().size(0), W = one.view().size(1);
    Buffer<float, 2> both({2 * R, W}), padded({R + 4, W});
    copy(reference, one.view(), both.view().rows(0, R));
    copy(reference, other.view(), both.view().rows(R, 2 * R));
    copy(reference, one.view(), padded.view().rows(0, R));
    copy(reference, other.view().rows(0, 3), padded.view().rows(R, R + 3));
    for (Index i = 0; i < 3; ++i) {
      const auto q = rows_in(taps, "query" + std::to_string(i) + "/embeddings");
      const Tolerance sums = float_sum_of(q.view().size(0), static_cast<double>(q.view().size(0)));
      Buffer<float, 1> scores({2});
      max_sim<float>(reference, q.view(), both.view(), places_of({0, R, 2 * R}).view(),
                     scores.view());
      EXPECT_TRUE(close(scores.view(), expected.view().row(i), sums)) << name << ", query " << i;
      max_sim<float>(reference, q.view(), padded.view(), places_of({0, R, R + 4}).view(),
                     scores.view());
      EXPECT_TRUE(close(scores.view(), unequal.view().row(i), sums)) << name << ", query " << i;
    }
  }
}

TEST(MaxSim, NoQueryScoresNothing) {
  const auto rows = unit_rows_of<float>(3, 4, 1);
  auto scores = vector_of({7, 7});
  max_sim(reference, Buffer<float, 2>({0, 4}).view(), rows.view(), places_of({0, 2, 3}).view(),
          scores.view());
  EXPECT_TRUE(close(scores.view(), vector_of({0, 0}).view(), kExact));
}

TEST(MaxSim, RejectsWhatIsNoPages) {
  const auto q = unit_rows_of<float>(2, 8, 1), rows = unit_rows_of<float>(9, 8, 2);
  const auto narrow_q = unit_rows_of<float>(2, 7, 1);
  Buffer<float, 1> scores({2});
  const auto run = [&](View<const float, 2> query, View<const float, 2> pages,
                       std::initializer_list<Index> first) {
    max_sim(reference, query, pages, places_of(first).view(), scores.view());
  };
  EXPECT_NO_THROW(run(q.view(), rows.view(), {0, 4, 9}));
  EXPECT_THROW(run(narrow_q.view(), rows.view(), {0, 4, 9}), ContractError);
  EXPECT_THROW(run(q.view(), rows.view(), {0, 9}), ContractError);
  EXPECT_THROW(run(q.view(), rows.view(), {0, 4, 8, 9}), ContractError);
  EXPECT_THROW(run(q.view(), rows.view(), {0, 4, 10}), ContractError);
  EXPECT_THROW(run(q.view(), rows.view(), {-1, 4, 9}), ContractError);
  EXPECT_THROW(run(q.view(), rows.view(), {0, 4, 4}), ContractError);
  const View<const float, 2> columns(q.view().data(), {8, 2}, {1, 8});
  EXPECT_THROW(run(columns, View<const float, 2>(rows.view().data(), {9, 2}), {0, 4, 9}),
               ContractError);
  EXPECT_THROW(run(q.view(), View<const float, 2>(rows.view().data(), {9, 8}, {1, 9}), {0, 4, 9}),
               ContractError);
}

// ---- backward --------------------------------------------------------------------------------------

TEST(MaxSimBackward, IsTheDefinitionsSlope) {
  const Index T = 5, W = 7;
  const auto q = unit_rows_of<float>(T, W, 1), rows = unit_rows_of<float>(12, W, 2);
  const auto first = places_of({0, 3, 12});
  const auto dscores = vector_of({0.7, -1.3});
  auto dq = random<float, 2>({T, W}, 3), drows = random<float, 2>({12, W}, 4);
  const Doubles dq_before = doubles(dq), drows_before = doubles(drows);
  max_sim_backward(reference, q.view(), rows.view(), first.view(), dscores.view(), dq.view(),
                   drows.view());
  const auto of_q = [&](const Doubles& x) { return oracle(x, doubles(rows), first.view(), W); };
  const auto of_rows = [&](const Doubles& x) { return oracle(doubles(q), x, first.view(), W); };
  EXPECT_TRUE(is_gradient(dq, dq_before + gradient_of(of_q, doubles(q), doubles(dscores)), W));
  EXPECT_TRUE(
      is_gradient(drows, drows_before + gradient_of(of_rows, doubles(rows), doubles(dscores)), W));
}

TEST(MaxSimBackward, TheFirstOfEqualsGetsAll) {
  const auto q = rows_of({{1, 0}}), rows = rows_of({{0, 1}, {1, 0}, {1, 0}});
  Buffer<float, 2> dq({1, 2}), drows({3, 2});
  max_sim_backward(reference, q.view(), rows.view(), places_of({0, 3}).view(),
                   vector_of({2}).view(), dq.view(), drows.view());
  EXPECT_TRUE(close(dq.view(), rows_of({{2, 0}}).view(), kExact));
  EXPECT_TRUE(close(drows.view(), rows_of({{0, 0}, {2, 0}, {0, 0}}).view(), kExact));
}

TEST(MaxSimBackward, RejectsWrongShapes) {
  const auto q = unit_rows_of<float>(2, 8, 1), rows = unit_rows_of<float>(9, 8, 2);
  const auto first = places_of({0, 9});
  Buffer<float, 2> dq({2, 8}), drows({9, 8});
  const auto run = [&](View<float, 2> of_q, View<float, 2> of_rows, View<const float, 1> dscores) {
    max_sim_backward(reference, q.view(), rows.view(), first.view(), dscores, of_q, of_rows);
  };
  const auto one = vector_of({1}), two = vector_of({1, 1});
  EXPECT_NO_THROW(run(dq.view(), drows.view(), one.view()));
  EXPECT_THROW(run(dq.view(), drows.view(), two.view()), ContractError);
  EXPECT_THROW(run(dq.view().rows(0, 1), drows.view(), one.view()), ContractError);
  EXPECT_THROW(run(dq.view(), drows.view().rows(0, 8), one.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
