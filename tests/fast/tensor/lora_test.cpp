#include "fast/tensor/lora.h"

#include "tests/support/instruction_sets.h"
#include "tests/support/lora.h"

namespace paligemma {
namespace {

using namespace test;

// Linear layers with an adapter and an epilogue are in tests/fast/tensor/linear_test.cpp.
class FastLora : public OnEveryInstructionSet {
 protected:
  // y is a window of something wider, which stays as it is.
  void expect_matches_reference(Index T, Index O, Index r) {
    SCOPED_TRACE("T = " + std::to_string(T) + ", O = " + std::to_string(O) +
                 ", r = " + std::to_string(r));
    const RandomLora random_lora(O, 1, r, 1);
    const auto low = random<float, 2>({T, r}, 9);
    for (const auto& w : {random_lora.plain(), random_lora.whole()}) {
      auto expected = random<float, 2>({T, O + 2}, 10), y = random<float, 2>({T, O + 2}, 10);
      const auto window = [&](Buffer<float, 2>& of) {
        return View<float, 2>(&of.view()(0, 1), {T, O}, {O + 2, 1});
      };
      add_low_rank(reference, low.view(), w, window(expected));
      add_low_rank(fast, low.view(), w, window(y));
      EXPECT_TRUE(
          close(y.view(), expected.view(), twice(float_sum_of(r + 2, static_cast<double>(r) + 2))));
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, FastLora, kInstructionSets, instruction_set_name);

TEST_P(FastLora, MatchesReferenceInAllSizes) {
  for (const Index T : {1, 3, 20}) {
    for (const Index O : {1, 7, 64, 65, 300}) {
      for (const Index r : {1, 16}) expect_matches_reference(T, O, r);
    }
  }
  expect_matches_reference(2, 5000, 16);  // more than one thread is woken for
}

TEST_P(FastLora, RejectsWrongShapes) {
  const RandomLora random_lora(5, 1, 2, 1);
  const Buffer<float, 2> low({3, 2}), wide_low({3, 4}), few_low({2, 2});
  Buffer<float, 2> y({3, 5}), narrow_y({3, 4});
  const auto w = random_lora.whole();
  EXPECT_NO_THROW(add_low_rank(fast, low.view(), w, y.view()));
  EXPECT_THROW(add_low_rank(fast, wide_low.view(), w, y.view()), ContractError);
  EXPECT_THROW(add_low_rank(fast, few_low.view(), w, y.view()), ContractError);
  EXPECT_THROW(add_low_rank(fast, low.view(), w, narrow_y.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
