#include "train/ema.h"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

// docs/train/ema.md, "By hand".
TEST(Ema, WorkedExample) {
  auto mean = rows_of({{1, 8}});
  ema(reference, 0.75, rows_of({{5, 0}}).view(), mean.view());
  EXPECT_TRUE(close(mean.view(), rows_of({{2, 6}}).view(), kExact));
  ema(reference, 0.75, rows_of({{10, -2}}).view(), mean.view());
  EXPECT_TRUE(close(mean.view(), rows_of({{4, 4}}).view(), kExact));
}

// The definition in double: each value by how long ago it was, and the first for all before it.
TEST(Ema, IsTheWeightedSumOfAllValues) {
  constexpr Index kSizes[][2] = {{1, 1}, {1, 7}, {255, 3}, {2, 257}};
  constexpr int kSteps = 12;
  for (const auto& [O, I] : kSizes) {
    for (const double decay : {0.0, 0.5, 0.9, 0.999}) {
      SCOPED_TRACE(std::to_string(O) + " x " + std::to_string(I) + ", " + std::to_string(decay));
      auto mean = random<float, 2>({O, I}, 0);
      std::vector<double> sum;
      for (Index i = 0; i < O * I; ++i) {
        sum.push_back(std::pow(decay, kSteps) * double{mean.view().data()[i]});
      }
      for (int step = 1; step <= kSteps; ++step) {
        const auto w = random<float, 2>({O, I}, static_cast<unsigned>(step));
        ema(reference, decay, w.view(), mean.view());
        for (Index i = 0; i < O * I; ++i) {
          sum[static_cast<std::size_t>(i)] +=
              (1 - decay) * std::pow(decay, kSteps - step) * double{w.view().data()[i]};
        }
      }
      Buffer<float, 2> expected({O, I});
      for (Index i = 0; i < O * I; ++i) {
        expected.view().data()[i] = static_cast<float>(sum[static_cast<std::size_t>(i)]);
      }
      EXPECT_TRUE(close(mean.view(), expected.view(), float_sum_of(4 * kSteps, 1)));
    }
  }
}

// However long they stay: decay and 1 - decay, each rounded to float, do not add up to 1.
TEST(Ema, OfWeightsThatStayIsThese) {
  for (const double decay : {0.9, 0.999, 0.99999}) {
    const auto w = random<float, 2>({5, 7}, 1);
    auto mean = random<float, 2>({5, 7}, 1);
    for (int step = 0; step < 1000; ++step) ema(reference, decay, w.view(), mean.view());
    EXPECT_TRUE(close(mean.view(), w.view(), kExact)) << decay;
  }
}

TEST(Ema, OfDecayZeroIsTheLastValue) {
  const auto w = rows_of({{0.1, -3}});
  auto mean = rows_of({{0, 0}});
  ema(reference, 0, w.view(), mean.view());
  EXPECT_TRUE(close(mean.view(), w.view(), kExact));
}

TEST(Ema, RejectsWrongShapesAndDecays) {
  const Buffer<float, 2> w({2, 3}), few({1, 3});
  Buffer<float, 2> mean({2, 3});
  const auto run = [&](double decay, const Buffer<float, 2>& of) {
    ema(reference, decay, of.view(), mean.view());
  };
  EXPECT_NO_THROW(run(0.5, w));
  EXPECT_THROW(run(0.5, few), ContractError);
  EXPECT_THROW(run(1, w), ContractError);
  EXPECT_THROW(run(-0.1, w), ContractError);
  EXPECT_THROW(run(std::numeric_limits<double>::quiet_NaN(), w), ContractError);
}

}  // namespace
}  // namespace paligemma
