#include "train/adafactor.h"

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/optimizer_golden.h"

namespace paligemma {
namespace {

using namespace test;

// docs/train/adafactor.md, "By hand": beta2 is 0 at first, so each number moves by the rate, times 1 - momentum.
TEST(Adafactor, WorkedExample) {
  const auto g = rows_of({{3, -0.5}});
  auto w = rows_of({{1, 1}});
  Buffer<float, 1> r({2}), c({0});
  Buffer<float, 2> m({1, 2});
  adafactor(reference, 0.9, 1, 0, 1, g.view(), {r.view(), c.view(), m.view()}, w.view());
  EXPECT_TRUE(close(w.view(), rows_of({{0.9, 1.1}}).view(), float_operations(4)));
  EXPECT_TRUE(close(r.view(), vector_of({9, 0.25}).view(), float_operations(2)));
}

// A matrix that is a row times a column has the squares' mean of each number exactly.
TEST(Adafactor, KeepsRowsAndColumnsOfAMatrix) {
  Buffer<float, 2> g({32, 32}), m({32, 32}), w({32, 32}), expected({32, 32});
  for (Index o = 0; o < 32; ++o) {
    for (Index i = 0; i < 32; ++i) {
      g.view()(o, i) = static_cast<float>((o + 1) * (i % 2 == 0 ? 1 : -4));
      expected.view()(o, i) = i % 2 == 0 ? -1.0f : 1.0f;
    }
  }
  Buffer<float, 1> r({32}), c({32});
  adafactor(reference, 0, 1, 0, 1, std::as_const(g).view(), {r.view(), c.view(), m.view()},
            w.view());
  EXPECT_TRUE(close(w.view(), expected.view(), float_operations(8)));
}

TEST(Adafactor, MovesAsBigVisions) {
  const auto all = optimizer_golden();
  for (const auto& golden : all.at("adafactor")) {
    const Index O = golden.at("shape")[0], I = golden.at("shape")[1];
    SCOPED_TRACE(golden.at("shape").dump());
    const auto numbers = [&](Index k) {
      Buffer<float, 2> matrix({O, I});
      for (Index i = 0; i < O * I; ++i) {
        matrix.view().data()[i] = static_cast<float>(i * 37 % 129 - 64 + 11 * k) / 64;
      }
      return matrix;
    };
    auto w = numbers(0);
    Buffer<float, 1> r({is_factored(O, I) ? O : O * I}), c({is_factored(O, I) ? I : 0});
    Buffer<float, 2> m({O, I});
    for (Index step = 1; step <= 4; ++step) {
      const auto g = numbers(step);
      adafactor(reference, 0.9, 0.05, 0.1, step, g.view(), {r.view(), c.view(), m.view()},
                w.view());
    }
    EXPECT_TRUE(
        close(w.view(), matrix_of(golden.at("weights"), golden.at("shape")).view(), {0, 2e-6}));
  }
}

// beta2 is capped: after a million steps a new square counts a thousandth, not a sixty-thousandth.
TEST(Adafactor, ForgetsAThousandthAStep) {
  const Buffer<float, 2> g({1, 1});
  Buffer<float, 2> m({1, 1}), w({1, 1});
  auto r = vector_of({1});
  Buffer<float, 1> c({0});
  adafactor(reference, 0, 1, 0, 1'000'000, g.view(), {r.view(), c.view(), m.view()}, w.view());
  EXPECT_TRUE(close(r.view(), vector_of({0.999}).view(), float_operations(1)));
}

TEST(Adafactor, DecaysWithoutAGradient) {
  for (const Index side : {Index{1}, Index{32}}) {
    const bool factored = is_factored(side, side);
    const Buffer<float, 2> g({side, side});
    Buffer<float, 2> m({side, side}), w({side, side}), expected({side, side});
    for (Index i = 0; i < side * side; ++i) {
      w.view().data()[i] = 2;
      expected.view().data()[i] = 1.5;
    }
    Buffer<float, 1> r({factored ? side : side * side}), c({factored ? side : 0});
    adafactor(reference, 0.9, 0.5, 0.5, 1, g.view(), {r.view(), c.view(), m.view()}, w.view());
    EXPECT_TRUE(close(w.view(), expected.view(), kExact));
  }
}

TEST(Adafactor, FactorsWhereBothSidesAreLong) {
  EXPECT_TRUE(is_factored(32, 32));
  EXPECT_FALSE(is_factored(31, 64));
  EXPECT_FALSE(is_factored(64, 31));
}

TEST(Adafactor, RejectsWrongShapesAndSteps) {
  const Buffer<float, 2> g({2, 3}), few_g({1, 3});
  Buffer<float, 2> m({2, 3}), few({1, 3}), w({2, 3});
  Buffer<float, 1> r({6}), short_r({2}), c({0}), long_c({3});
  const auto run = [&](const Buffer<float, 2>& g_, Buffer<float, 1>& r_, Buffer<float, 1>& c_,
                       Buffer<float, 2>& m_, Index step) {
    adafactor(reference, 0.9, 1, 0, step, g_.view(), {r_.view(), c_.view(), m_.view()}, w.view());
  };
  EXPECT_NO_THROW(run(g, r, c, m, 1));
  EXPECT_THROW(run(few_g, r, c, m, 1), ContractError);
  EXPECT_THROW(run(g, short_r, c, m, 1), ContractError);
  EXPECT_THROW(run(g, r, long_c, m, 1), ContractError);
  EXPECT_THROW(run(g, r, c, few, 1), ContractError);
  EXPECT_THROW(run(g, r, c, m, 0), ContractError);
}

}  // namespace
}  // namespace paligemma
