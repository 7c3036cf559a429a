#include "train/muon.h"

#include <cmath>
#include <utility>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/optimizer_golden.h"

namespace paligemma {
namespace {

using namespace test;

// One step of Newton-Schulz for a singular value.
double iterated(double s) {
  for (int i = 0; i < 5; ++i) {
    s = 3.4445 * s - 4.775 * std::pow(s, 3) + 2.0315 * std::pow(s, 5);
  }
  return s;
}

// docs/train/muon.md, "By hand": of a diagonal matrix each number is a singular value.
TEST(Muon, WorkedExample) {
  const auto u = rows_of({{3, 0}, {0, -4}});
  Buffer<float, 2> x({2, 2});
  orthogonalize(reference, u.view(), x.view());
  EXPECT_TRUE(close(x.view(), rows_of({{iterated(0.6), 0}, {0, -iterated(0.8)}}).view(),
                    float_sum_of(40, 1)));
}

// Of any shape: x x^T has the singular values' squares, which are between 0.5 and 1.2 of them.
TEST(Muon, BringsAllDirectionsToOneLength) {
  struct Size {
    Index O, I;
  };
  for (const auto [O, I] : {Size{1, 7}, Size{7, 1}, Size{3, 8}, Size{8, 3}}) {
    const auto u = random<float, 2>({O, I}, 1);
    Buffer<float, 2> x({O, I});
    orthogonalize(reference, u.view(), x.view());
    const bool is_tall = O > I;
    for (Index a = 0; a < std::min(O, I); ++a) {
      for (Index b = 0; b < std::min(O, I); ++b) {
        double product = 0;
        for (Index k = 0; k < std::max(O, I); ++k) {
          product += double{is_tall ? x.view()(k, a) : x.view()(a, k)} *
                     double{is_tall ? x.view()(k, b) : x.view()(b, k)};
        }
        if (a == b) {
          EXPECT_GT(product, 0.25);
          EXPECT_LT(product, 1.5);
        } else {
          EXPECT_LT(std::abs(product), 0.5);
        }
      }
    }
  }
}

// torch iterates in bf16: 2^-8 of each number, a few times over; a step is 0.05 long.
TEST(Muon, MovesAsTorchs) {
  expect_steps_of("muon", {0, 4 * 0.05 * 1.8 * 0x1p-6}, [](auto g, auto m, auto, auto w, Index) {
    muon(reference, 0.95, 0.05, 0.1, g, m, w);
  });
}

// The decay needs no gradient, and is not times the ratio of the sides.
TEST(Muon, DecaysWithoutAGradient) {
  const Buffer<float, 2> g({4, 1});
  auto w = rows_of({{1}, {2}, {3}, {4}});
  Buffer<float, 2> m({4, 1});
  muon(reference, 0.95, 0.5, 0.5, g.view(), m.view(), w.view());
  EXPECT_TRUE(close(w.view(), rows_of({{0.75}, {1.5}, {2.25}, {3}}).view(), kExact));
}

TEST(Muon, OrthogonalizesInPlace) {
  for (const auto& shape : {std::array<Index, 2>{3, 8}, std::array<Index, 2>{8, 3}}) {
    auto u = random<float, 2>(shape, 1);
    Buffer<float, 2> x(shape);
    orthogonalize(reference, std::as_const(u).view(), x.view());
    orthogonalize(reference, std::as_const(u).view(), u.view());
    EXPECT_TRUE(close(u.view(), x.view(), kExact));
  }
}

// With a momentum of 0.5 u is 3/4 of the first gradient; what comes back is w's step, times the ratio of the sides.
TEST(Muon, MovesByWhatItIsTold) {
  const auto g = rows_of({{1}, {2}, {-4}, {0}});
  auto w = rows_of({{1}, {1}, {1}, {1}});
  Buffer<float, 2> m({4, 1});
  muon(reference, 0.5, 0.25, 0, g.view(), m.view(), w.view(),
       [](View<const float, 2> u, View<float, 2> x) { copy(reference, u, x); });
  EXPECT_TRUE(close(w.view(), rows_of({{0.625}, {0.25}, {2.5}, {1}}).view(), kExact));
}

TEST(Muon, RejectsWrongShapes) {
  const Buffer<float, 2> g({2, 3}), few_g({1, 3});
  Buffer<float, 2> m({2, 3}), few({1, 3}), w({2, 3});
  EXPECT_NO_THROW(muon(reference, 0, 1, 0, g.view(), m.view(), w.view()));
  EXPECT_THROW(muon(reference, 0, 1, 0, few_g.view(), m.view(), w.view()), ContractError);
  EXPECT_THROW(muon(reference, 0, 1, 0, g.view(), few.view(), w.view()), ContractError);
  EXPECT_THROW(orthogonalize(reference, g.view(), few.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
