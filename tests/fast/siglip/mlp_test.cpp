#include "siglip/mlp.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "fast/tensor/linear.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/vision_tower.h"

namespace paligemma {
namespace {

using namespace test;
using siglip::EncoderScratch;
using siglip::EncoderShape;

template <class Real>
using Weights = siglip::MlpWeights<HostWeights<Real>>;

// A picture of side * side patches.
EncoderShape shape_of(Index side, Index D, Index F, GeluForm gelu = GeluForm::tanh) {
  EncoderShape shape;
  shape.image_size = side * shape.patch_size;
  shape.width = D;
  shape.mlp_width = F;
  shape.heads = 1;
  shape.gelu = gelu;
  return shape;
}

class FastSiglipMlp : public OnEveryInstructionSet {
 protected:
  template <class On, class Real>
  static Buffer<float, 2> result(const On& on, const Weights<Real>& w, const EncoderShape& shape,
                                 View<const float, 2> x) {
    EncoderScratch<On> s(shape);
    copy(reference, x, s.normed.view());
    std::fill_n(s.hidden.view().data(), s.hidden.view().count(), NAN);
    std::fill_n(s.branch.view().data(), s.branch.view().count(), NAN);
    mlp(on, w, shape, s);
    EXPECT_TRUE(close(s.normed.view(), x, kExact));
    return std::move(s.branch);
  }

  // A sum of D terms and one of F, the terms of size 1 / sqrt(D) and 1 / sqrt(F). With factors
  // rounded to bf16, n terms of at most 2 / sqrt(n) are as far off as one of at most 2.
  template <class Real>
  Tolerance tolerance(const EncoderShape& shape) {
    const Index n = shape.width + shape.mlp_width;
    if (std::is_same_v<Real, bf16> && shape.patches() > 4 && rounds_to_bf16()) {
      return {0, 2 * 2 * bf16_products_of(1).absolute};
    }
    return twice(float_sum_of(n, std::sqrt(static_cast<double>(n))));
  }

  template <class Real>
  void expect_matches_reference(const EncoderShape& shape) {
    const Index D = shape.width, F = shape.mlp_width;
    RandomWeights<Real> source;
    const Weights<Real> w{source.linear(F, D), source.linear(D, F)};
    const auto x = random<float, 2>({shape.patches(), D}, 5);
    const auto expected = result(reference, w, shape, x.view());
    EXPECT_TRUE(
        close(result(fast, w, shape, x.view()).view(), expected.view(), tolerance<Real>(shape)))
        << shape.patches() << " patches, D = " << D << ", F = " << F
        << (shape.gelu == GeluForm::tanh ? ", tanh" : ", exact");
  }

  template <class Real>
  void expect_matches_reference_in_all_sizes() {
    for (const GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
      for (Index side : {1, 2, 3, 4}) {
        for (Index D : {1, 3, 72}) {
          for (Index F : {1, 3, 72}) {
            expect_matches_reference<Real>(shape_of(side, D, F, form));
          }
        }
      }
      expect_matches_reference<Real>(shape_of(5, 36, 52, form));  // the golden PaliGemma 1's
      expect_matches_reference<Real>(shape_of(1, 1152, 33, form));
      expect_matches_reference<Real>(shape_of(3, 33, 1152, form));
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, FastSiglipMlp, kInstructionSets, instruction_set_name);

TEST_P(FastSiglipMlp, MatchesReferenceWithFloatWeights) {
  expect_matches_reference_in_all_sizes<float>();
}
TEST_P(FastSiglipMlp, MatchesReferenceWithBf16Weights) {
  expect_matches_reference_in_all_sizes<bf16>();
}
TEST_P(FastSiglipMlp, MatchesReferenceWithF16Weights) {
  expect_matches_reference_in_all_sizes<f16>();
}

TEST_P(FastSiglipMlp, MatchesReferenceInTheSizesOfSo400m) {
  expect_matches_reference<bf16>(shape_of(3, 1152, 4304));
}

// The forms differ by up to 5e-4: which one runs must be told apart.
TEST_P(FastSiglipMlp, UsesTheFormOfGeluThatTheShapeNames) {
  const auto x = rows_of({{1}});
  const auto weight1 = rows_of({{1}, {-3}}), weight2 = rows_of({{2, 1}});
  const auto bias1 = vector_of({0, 2}), bias2 = vector_of({0.1});
  const Weights<float> w{{weight1.view(), bias1.view()}, {weight2.view(), bias2.view()}};
  const auto in_tanh = result(fast, w, shape_of(1, 1, 2), x.view());
  EXPECT_TRUE(close(in_tanh.view(), rows_of({{1.6235760}}).view(), twice(float_sum_of(2))));
  const auto exact = result(fast, w, shape_of(1, 1, 2, GeluForm::exact), x.view());
  EXPECT_TRUE(close(exact.view(), rows_of({{1.6240342}}).view(), twice(float_sum_of(2))));
}

TEST_P(FastSiglipMlp, RejectsWeightsOfAnotherWidth) {
  RandomWeights<float> source;
  const Weights<float> w{source.linear(20, 12), source.linear(12, 20)};
  const Weights<float> narrow_w{source.linear(19, 12), source.linear(12, 19)};
  for (Index side : {1, 3}) {
    const auto x = random<float, 2>({side * side, 12}, 1);
    EXPECT_THROW(result(fast, narrow_w, shape_of(side, 12, 20), x.view()), ContractError);
    const Weights<float> mixed{w.fc1, narrow_w.fc2};
    EXPECT_THROW(result(fast, mixed, shape_of(side, 12, 20), x.view()), ContractError);
  }
}

}  // namespace
}  // namespace paligemma
