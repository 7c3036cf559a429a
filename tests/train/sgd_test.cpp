#include "train/sgd.h"

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/optimizer_golden.h"

namespace paligemma {
namespace {

using namespace test;

// docs/train/sgd.md, "By hand".
TEST(Sgd, WorkedExample) {
  const auto g = rows_of({{1, -2}});
  auto w = rows_of({{1, 1}});
  Buffer<float, 2> m({1, 2});
  sgd(reference, 0.5, 0.25, 0, g.view(), m.view(), w.view());
  EXPECT_TRUE(close(w.view(), rows_of({{0.75, 1.5}}).view(), kExact));
  sgd(reference, 0.5, 0.25, 0, g.view(), m.view(), w.view());
  EXPECT_TRUE(close(m.view(), rows_of({{1.5, -3}}).view(), kExact));
  EXPECT_TRUE(close(w.view(), rows_of({{0.375, 2.25}}).view(), kExact));
}

TEST(Sgd, MovesAsTorchs) {
  expect_steps_of("sgd", {0, 1e-6}, [](auto g, auto m, auto, auto w, Index) {
    sgd(reference, 0.9, 0.05, 0.1, g, m, w);
  });
}

TEST(Sgd, RejectsWrongShapes) {
  const Buffer<float, 2> g({2, 3}), few_g({1, 3});
  Buffer<float, 2> m({2, 3}), few({1, 3}), w({2, 3});
  EXPECT_NO_THROW(sgd(reference, 0, 1, 0, g.view(), m.view(), w.view()));
  EXPECT_THROW(sgd(reference, 0, 1, 0, few_g.view(), m.view(), w.view()), ContractError);
  EXPECT_THROW(sgd(reference, 0, 1, 0, g.view(), few.view(), w.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
