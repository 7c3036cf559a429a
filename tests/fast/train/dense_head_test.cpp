#include "train/dense_head.h"

#include "fast/tensor/linear.h"
#include "fast/train/cross_entropy.h"
#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

class FastDenseHead : public OnEveryInstructionSet {
 protected:
  struct Result {
    double loss = 0;
    Buffer<float, 2> dencoded, dweight;
    Buffer<float, 1> dbias;
  };
  template <class On>
  static Result run(const On& on, Index R, Index D, const DenseTargets& targets) {
    const Index C = targets.columns();
    const auto encoded = random<float, 2>({R, D}, 1), weight = random<float, 2>({C, D}, 2);
    const auto bias = random<float, 1>({C}, 3);
    Result y{0, Buffer<float, 2>({R, D}), Buffer<float, 2>({C, D}), Buffer<float, 1>({C})};
    const DenseHead head{{weight.view(), bias.view()}, {y.dweight.view(), y.dbias.view()}};
    y.loss = dense_loss(on, encoded.view(), head, targets, y.dencoded.view());
    return y;
  }
};
INSTANTIATE_TEST_SUITE_P(, FastDenseHead, kInstructionSets, instruction_set_name);

// The default model's parts, and awkward numbers of rows. No value is so near to what is said of it that a rounding
// changes on which side it is.
TEST_P(FastDenseHead, MatchesReference) {
  for (const Index R : {1, 7, 64}) {
    const auto rows = static_cast<std::size_t>(R);
    const Index D = R == 7 ? 72 : 128;
    DenseTargets targets;
    for (const Index width : {7, 37}) {
      DenseTargets::Name part{width, {}, {}};
      for (Index r = 0; r < R; ++r) {
        part.targets.push_back(static_cast<TokenId>((5 * r + 3) % width));
        part.weights.push_back(r % 3 == 1 ? 0.0f : 1.0f);
      }
      targets.names.push_back(part);
    }
    targets.measures.push_back(
        {4, std::vector<float>(4 * rows, 0.123f), std::vector<float>(rows, 0.5f)});
    const Result y = run(fast, R, D, targets), expected = run(reference, R, D, targets);
    const auto terms = float_sum_of(D * R, 30);
    EXPECT_NEAR(y.loss, expected.loss, terms.relative * expected.loss);
    EXPECT_TRUE(close(y.dencoded.view(), expected.dencoded.view(), terms)) << R;
    EXPECT_TRUE(close(y.dweight.view(), expected.dweight.view(), terms)) << R;
    EXPECT_TRUE(close(y.dbias.view(), expected.dbias.view(), terms)) << R;
  }
}

}  // namespace
}  // namespace paligemma
