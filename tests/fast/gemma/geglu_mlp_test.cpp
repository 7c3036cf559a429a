#include "gemma/geglu_mlp.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "fast/tensor/linear.h"
#include "tests/support/gemma.h"
#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

gemma::DecoderShape shape_of(Index D, Index F, GeluForm gelu = GeluForm::tanh) {
  gemma::DecoderShape shape = small_gemma1();
  shape.vocabulary = shape.layers = 1;
  shape.width = D;
  shape.mlp_width = F;
  shape.gelu = gelu;
  return shape;
}

class FastGegluMlp : public OnEveryInstructionSet {
 protected:
  // Scratch has two more rows than the step, which are not numbers and must not be looked at.
  template <class On, class Real>
  static Buffer<float, 2> result(const On& on, const RandomDecoder<Real>& decoder,
                                 View<const float, 2> x) {
    const Index T = x.size(0);
    gemma::DecoderScratch<On> s(decoder.shape, T + 2);
    for (auto* buffer : {&s.normed, &s.hidden}) {
      std::fill_n(buffer->view().data(), buffer->view().count(), NAN);
    }
    std::fill_n(s.branch.view().data(), s.branch.view().count(), 7.0f);
    copy(reference, x, s.normed.view().rows(0, T));
    geglu_mlp(on, decoder.weights.blocks[0].mlp, decoder.shape, gemma::Segment{{}, 0, T, T}, s);
    EXPECT_TRUE(close(s.normed.view().rows(0, T), x, kExact));
    for (Index d = 0; d < x.size(1); ++d) EXPECT_EQ(s.branch.view()(T, d), 7);
    Buffer<float, 2> y(x.shape());
    copy(reference, s.branch.view().rows(0, T), y.view());
    return y;
  }

  // Two sums of D terms and one of F, the terms of size 1 / sqrt(D) and 1 / sqrt(F). With factors
  // rounded to bf16, n terms of at most sqrt(3 / n) are as far off as one of at most sqrt(3).
  template <class Real>
  Tolerance tolerance(const gemma::DecoderShape& shape, Index T) {
    const Index n = shape.width + shape.mlp_width;
    if (std::is_same_v<Real, bf16> && T > 4 && rounds_to_bf16()) {
      return {0, 3 * std::sqrt(3.0) * bf16_products_of(1).absolute};
    }
    return twice(float_sum_of(n, std::sqrt(static_cast<double>(n))));
  }

  template <class Real>
  void expect_matches_reference(Index T, const gemma::DecoderShape& shape) {
    const RandomDecoder<Real> decoder(shape);
    const auto x = random<float, 2>({T, shape.width}, 50);
    const auto expected = result(reference, decoder, x.view());
    EXPECT_TRUE(
        close(result(fast, decoder, x.view()).view(), expected.view(), tolerance<Real>(shape, T)))
        << "T = " << T << ", D = " << shape.width << ", F = " << shape.mlp_width
        << (shape.gelu == GeluForm::tanh ? ", tanh" : ", exact");
  }

  template <class Real>
  void expect_matches_reference_in_all_sizes() {
    for (const GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
      for (Index T : {1, 2, 5, 13}) {
        for (Index D : {1, 3, 72}) {
          for (Index F : {1, 3, 72, 257}) expect_matches_reference<Real>(T, shape_of(D, F, form));
        }
      }
      expect_matches_reference<Real>(2, shape_of(1152, 33, form));
      expect_matches_reference<Real>(5, shape_of(4304, 3, form));  // more than a panel is long
      expect_matches_reference<Real>(9, shape_of(3, 4304, form));
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, FastGegluMlp, kInstructionSets, instruction_set_name);

TEST_P(FastGegluMlp, MatchesReferenceWithFloatWeights) {
  expect_matches_reference_in_all_sizes<float>();
}
TEST_P(FastGegluMlp, MatchesReferenceWithBf16Weights) {
  expect_matches_reference_in_all_sizes<bf16>();
}
TEST_P(FastGegluMlp, MatchesReferenceWithF16Weights) {
  expect_matches_reference_in_all_sizes<f16>();
}

TEST_P(FastGegluMlp, MatchesReferenceInLargeSizes) {
  expect_matches_reference<bf16>(5, shape_of(1152, 577));
  expect_matches_reference<float>(13, shape_of(577, 1152));
}

// Exchanging gate and up gives another answer: the GELU stands on the gate.
TEST_P(FastGegluMlp, GateAndUpAreNotInterchangeable) {
  const auto shape = shape_of(20, 28);
  RandomDecoder<float> decoder(shape);
  for (Index T : {3, 9}) {
    const auto x = random<float, 2>({T, 20}, 50);
    const auto expected = result(reference, decoder, x.view());
    auto& w = decoder.weights.blocks[0].mlp;
    std::swap(w.gate, w.up);
    EXPECT_FALSE(
        close(result(fast, decoder, x.view()).view(), expected.view(), tolerance<float>(shape, T)));
    std::swap(w.gate, w.up);
  }
}

// The forms differ by up to 5e-4: which one runs must be told apart.
TEST_P(FastGegluMlp, UsesTheFormOfGeluThatTheShapeNames) {
  for (Index T : {3, 9}) {
    const auto x = random<float, 2>({T, 20}, 50);
    for (const GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
      const auto other = form == GeluForm::tanh ? GeluForm::exact : GeluForm::tanh;
      const auto shape = shape_of(20, 28, form);
      const auto y = result(fast, RandomDecoder<float>(shape), x.view());
      const RandomDecoder<float> decoder(shape_of(20, 28, other));
      EXPECT_FALSE(
          close(y.view(), result(reference, decoder, x.view()).view(), tolerance<float>(shape, T)));
    }
  }
}

// No biases: nothing in, nothing out.
TEST_P(FastGegluMlp, ZeroRowStaysZero) {
  for (Index T : {3, 9}) {
    const Buffer<float, 2> zeros({T, 20});
    const RandomDecoder<float> decoder(shape_of(20, 28));
    EXPECT_TRUE(close(result(fast, decoder, zeros.view()).view(), zeros.view(), kExact));
  }
}

TEST_P(FastGegluMlp, RejectsWeightsOfAnotherWidth) {
  RandomDecoder<float> decoder(shape_of(20, 28));
  auto& w = decoder.weights.blocks[0].mlp;
  std::swap(w.gate, w.down);
  for (Index T : {3, 9}) {
    const auto x = random<float, 2>({T, 20}, 50);
    EXPECT_THROW(result(fast, decoder, x.view()), ContractError);
  }
}

}  // namespace
}  // namespace paligemma
