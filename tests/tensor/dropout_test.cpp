#include "tensor/dropout.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

// docs/tensor/dropout.md, "By hand".
TEST(Dropout, WorkedExample) {
  auto x = rows_of({{2, 4, 6, 8}, {1, 3, 5, 7}});
  dropout(reference, {.rate = 0.5f}, x.view());
  EXPECT_TRUE(close(x.view(), rows_of({{4, 0, 0, 16}, {0, 0, 10, 14}}).view(), kExact));
}

Buffer<float, 2> factors(const Dropout& rule, Index T = 64, Index D = 64) {
  Buffer<float, 2> x({T, D});
  std::fill_n(x.view().data(), T * D, 1.0f);
  dropout(reference, rule, x.view());
  return x;
}

// Of n factors n rate are 0, give or take the square root of n rate (1 - rate); five of these are allowed.
void expect_share_of_zeros(View<const float, 2> x, double rate) {
  const auto n = static_cast<double>(x.count());
  const auto zeros = static_cast<double>(std::count(x.data(), x.data() + x.count(), 0.0f));
  EXPECT_NEAR(zeros, n * rate, 5 * std::sqrt(n * rate * (1 - rate)));
}

TEST(Dropout, LeavesOutItsShareAndKeepsTheMean) {
  for (const float rate : {0.01f, 0.1f, 0.5f, 0.9f}) {
    SCOPED_TRACE(rate);
    const auto x = factors({.rate = rate, .seed = 3}, 255, 257);
    expect_share_of_zeros(x.view(), rate);
    double sum = 0;
    for (Index i = 0; i < x.view().count(); ++i) {
      const float factor = x.view().data()[i];
      EXPECT_TRUE(factor == 0 || factor == 1 / (1 - rate)) << factor;
      sum += double{factor};
    }
    // A factor's variance is rate / (1 - rate).
    const auto n = static_cast<double>(x.view().count());
    EXPECT_NEAR(sum / n, 1, 5 * std::sqrt(rate / (1 - rate) / n));
  }
}

// No row and no column is left out more than others.
TEST(Dropout, LeavesOutRowsAndColumnsAlike) {
  const auto x = factors({.rate = 0.3f, .seed = 4}, 256, 256);
  Buffer<float, 2> column({256, 1});
  for (Index i = 0; i < 256; ++i) {
    expect_share_of_zeros(x.view().rows(i, i + 1), 0.3);
    for (Index t = 0; t < 256; ++t) column.view()(t, 0) = x.view()(t, i);
    expect_share_of_zeros(std::as_const(column).view(), 0.3);
  }
}

TEST(Dropout, OfRateZeroIsNothing) {
  auto x = random<float, 2>({7, 5}, 1);
  const auto before = random<float, 2>({7, 5}, 1);
  dropout(reference, {.rate = 0, .seed = 1, .number = 2, .place = 3}, x.view());
  EXPECT_TRUE(close(x.view(), before.view(), kExact));
}

TEST(Dropout, HasTheSameFactorsForwardAndBackward) {
  const Dropout rule{.rate = 0.4f, .seed = 5, .number = 6, .place = 7, .first = 8};
  const auto factor = factors(rule, 7, 33);
  auto dx = random<float, 2>({7, 33}, 1), expected = random<float, 2>({7, 33}, 1);
  dropout(reference, rule, dx.view());
  for (Index t = 0; t < 7; ++t) {
    for (Index d = 0; d < 33; ++d) {
      EXPECT_EQ(dropout_factor(rule, t, d), factor.view()(t, d));
      expected.view()(t, d) *= factor.view()(t, d);
    }
  }
  EXPECT_TRUE(close(dx.view(), expected.view(), kExact));
}

// Two draws of rate 1/2 agree in half of their factors, give or take.
void expect_independent(View<const float, 2> a, View<const float, 2> b) {
  Buffer<float, 2> differ(a.shape());
  for (Index i = 0; i < a.count(); ++i) {
    differ.view().data()[i] = a.data()[i] == b.data()[i] ? 0 : 1;
  }
  expect_share_of_zeros(std::as_const(differ).view(), 0.5);
}

TEST(Dropout, IsDrawnAnewForEachSeedNumberAndPlace) {
  const Dropout rules[] = {{.rate = 0.5f},
                           {.rate = 0.5f, .seed = 1},
                           {.rate = 0.5f, .seed = std::uint64_t{1} << 32},
                           {.rate = 0.5f, .number = 1},
                           {.rate = 0.5f, .number = 2},
                           {.rate = 0.5f, .place = 1},
                           {.rate = 0.5f, .place = 2},
                           {.rate = 0.5f, .first = 1000}};
  std::vector<Buffer<float, 2>> all;
  for (const Dropout& rule : rules) all.push_back(factors(rule));
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      SCOPED_TRACE(std::to_string(i) + " and " + std::to_string(j));
      expect_independent(std::as_const(all[i]).view(), std::as_const(all[j]).view());
    }
  }
}

TEST(Dropout, IsDrawnAnewForEachRowAndColumn) {
  const auto x = factors({.rate = 0.5f, .seed = 9}, 1001, 1001);
  const auto part = [&](Index t, Index d) {
    Buffer<float, 2> all({1000, 1000});
    for (Index i = 0; i < 1000; ++i) {
      std::copy_n(&x.view()(t + i, d), 1000, &all.view()(i, 0));
    }
    return all;
  };
  const auto here = part(0, 0), below = part(1, 0), beside = part(0, 1);
  expect_independent(here.view(), below.view());
  expect_independent(here.view(), beside.view());
  expect_independent(below.view(), beside.view());
}

// Rows that are a part of others have the factors that they have there.
TEST(Dropout, CountsRowsFromTheFirst) {
  const Dropout rule{.rate = 0.5f, .seed = 2};
  Dropout behind = rule;
  behind.first = 5;
  const auto all = factors(rule, 9, 17), some = factors(behind, 4, 17);
  EXPECT_TRUE(close(some.view(), all.view().rows(5, 9), kExact));
}

TEST(Dropout, DoesNotDependOnThreads) {
  const int threads = omp_get_max_threads();
  const Dropout rule{.rate = 0.5f, .seed = 2};
  omp_set_num_threads(1);
  const auto one = factors(rule);
  omp_set_num_threads(5);
  const auto five = factors(rule);
  omp_set_num_threads(threads);
  EXPECT_TRUE(close(five.view(), one.view(), kExact));
}

TEST(Dropout, RefusesRatesThatAreNoneOrLeaveNothing) {
  Buffer<float, 2> x({2, 3});
  const auto run = [&](float rate) { dropout(reference, {.rate = rate}, x.view()); };
  EXPECT_NO_THROW(run(0));
  EXPECT_NO_THROW(run(0.999f));
  EXPECT_THROW(run(1), ContractError);
  EXPECT_THROW(run(-0.1f), ContractError);
  EXPECT_THROW(run(std::numeric_limits<float>::quiet_NaN()), ContractError);
}

}  // namespace
}  // namespace paligemma
