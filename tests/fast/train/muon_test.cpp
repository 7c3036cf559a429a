#include "train/muon.h"

#include "fast/tensor/linear.h"
#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

class FastMuon : public OnEveryInstructionSet {};
INSTANTIATE_TEST_SUITE_P(, FastMuon, kInstructionSets, instruction_set_name);

// Nothing is rounded but sums: three a step, of five steps, each of which makes small directions, and what was rounded
// of them, 3.4445 times as large (docs/train/muon.md).
TEST_P(FastMuon, OrthogonalizesAsTheReference) {
  struct Size {
    Index O, I;
  };
  for (const auto [O, I] : {Size{1, 1}, Size{7, 33}, Size{33, 7}, Size{72, 72}, Size{128, 257}}) {
    const auto u = random<float, 2>({O, I}, 1);
    Buffer<float, 2> x({O, I}), expected({O, I});
    orthogonalize(reference, u.view(), expected.view());
    orthogonalize(fast, u.view(), x.view());
    const Tolerance sum = float_sum_of(std::max(O, I), 1);
    EXPECT_TRUE(close(x.view(), expected.view(), {0, 15 * sum.absolute})) << O << " x " << I;
  }
}

TEST_P(FastMuon, OrthogonalizesInPlace) {
  auto u = random<float, 2>({33, 20}, 1);
  Buffer<float, 2> x({33, 20});
  orthogonalize(fast, std::as_const(u).view(), x.view());
  orthogonalize(fast, std::as_const(u).view(), u.view());
  EXPECT_TRUE(close(u.view(), x.view(), kExact));
}

}  // namespace
}  // namespace paligemma
