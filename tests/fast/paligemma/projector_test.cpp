#include "fast/paligemma/projector.h"

#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

class FastProjector : public OnEveryInstructionSet {
 protected:
  template <class Weight>
  void expect_matches_reference(Index L, Index I, Index D) {
    const auto x = random<float, 2>({L, I}, 1);
    const auto weight = random<Weight, 2>({D, I}, 2);
    const auto bias = random<Weight, 1>({D}, 3);
    Buffer<float, 2> expected({L, D}), y({L, D});
    projector(reference, x.view(), weight.view(), bias.view(), expected.view());
    projector(fast, x.view(), weight.view(), bias.view(), y.view());
    const bool rounds = std::is_same_v<Weight, bf16> && L > 4 && rounds_to_bf16();
    EXPECT_TRUE(close(
        y.view(), expected.view(),
        rounds ? bf16_products_of(I) : twice(float_sum_of(I + 1, static_cast<double>(I) / 4 + 2))))
        << "L = " << L << ", I = " << I << ", D = " << D;
  }
  // 1152 is SigLIP, 36 and 40 the golden PaliGemma 1.
  template <class Weight>
  void expect_matches_reference_in_all_sizes() {
    for (Index L : {1, 2, 5, 13}) {
      for (Index I : {1, 3, 72}) {
        for (Index D : {1, 3, 72}) expect_matches_reference<Weight>(L, I, D);
      }
      expect_matches_reference<Weight>(L, 1152, 65);
    }
    expect_matches_reference<Weight>(25, 36, 40);
    expect_matches_reference<Weight>(5, 4304, 3);
    expect_matches_reference<Weight>(5, 3, 4304);
  }
};
INSTANTIATE_TEST_SUITE_P(, FastProjector, kInstructionSets, instruction_set_name);

TEST_P(FastProjector, MatchesReferenceWithFloatWeights) {
  expect_matches_reference_in_all_sizes<float>();
}
TEST_P(FastProjector, MatchesReferenceWithBf16Weights) {
  expect_matches_reference_in_all_sizes<bf16>();
}
TEST_P(FastProjector, MatchesReferenceWithF16Weights) {
  expect_matches_reference_in_all_sizes<f16>();
}

TEST_P(FastProjector, RejectsWrongShapes) {
  for (Index L : {3, 9}) {
    const Buffer<float, 2> x({L, 7}), weight({5, 7}), narrow_weight({5, 6});
    const Buffer<float, 1> bias({5}), short_bias({4});
    Buffer<float, 2> y({L, 5}), narrow_y({L, 4}), short_y({L - 1, 5});
    const auto run = [&](const auto& w, const auto& b, auto& to) {
      projector(fast, x.view(), w.view(), b.view(), to.view());
    };
    EXPECT_NO_THROW(run(weight, bias, y));
    EXPECT_THROW(run(narrow_weight, bias, y), ContractError);
    EXPECT_THROW(run(weight, short_bias, y), ContractError);
    EXPECT_THROW(run(weight, bias, narrow_y), ContractError);
    EXPECT_THROW(run(weight, bias, short_y), ContractError);
  }
}

}  // namespace
}  // namespace paligemma
