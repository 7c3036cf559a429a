#include "siglip/mlp.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "paligemma/weights.h"
#include "tensor/residual_add.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/slopes.h"
#include "tests/support/vision_tower.h"

namespace paligemma {
namespace {

using namespace test;
using siglip::EncoderScratch;
using siglip::EncoderShape;

template <class Real>
using Weights = siglip::MlpWeights<HostWeights<Real>>;

// A picture of side * side patches.
EncoderShape shape_of(Index side, Index D, Index F) {
  EncoderShape shape;
  shape.image_size = side * shape.patch_size;
  shape.width = D;
  shape.mlp_width = F;
  shape.heads = 1;
  return shape;
}

template <class Real>
Weights<Real> random_weights(RandomWeights<Real>& source, Index D, Index F) {
  return {source.linear(F, D), source.linear(D, F)};
}

template <class Real>
Buffer<float, 2> result(const Weights<Real>& w, const EncoderShape& shape, View<const float, 2> x) {
  EncoderScratch<Reference> s(shape);
  copy(reference, x, s.normed.view());
  mlp(reference, w, shape, s);
  return std::move(s.branch);
}

// A sum of D terms and one of F, the terms of size 1 / sqrt(D) and 1 / sqrt(F).
Tolerance two_sums(Index D, Index F) {
  return float_sum_of(D + F, std::sqrt(static_cast<double>(D + F)));
}

// docs/siglip/mlp.md, "By hand".
TEST(Mlp, WorkedExample) {
  const auto x = rows_of({{1}});
  const auto weight1 = rows_of({{1}, {-3}}), weight2 = rows_of({{2, 1}});
  const auto bias1 = vector_of({0, 2}), bias2 = vector_of({0.1});
  const Weights<float> w{{weight1.view(), bias1.view()}, {weight2.view(), bias2.view()}};
  const auto y = result(w, shape_of(1, 1, 2), x.view());
  EXPECT_TRUE(close(y.view(), rows_of({{1.6235760}}).view(), float_sum_of(2)));
}

// The exact form would give 1.6240341.
TEST(Mlp, UsesTheFormOfGeluThatTheShapeNames) {
  const auto x = rows_of({{1}});
  const auto weight1 = rows_of({{1}, {-3}}), weight2 = rows_of({{2, 1}});
  const auto bias1 = vector_of({0, 2}), bias2 = vector_of({0.1});
  const Weights<float> w{{weight1.view(), bias1.view()}, {weight2.view(), bias2.view()}};
  auto shape = shape_of(1, 1, 2);
  EXPECT_EQ(shape.gelu, GeluForm::tanh);
  shape.gelu = GeluForm::exact;
  const auto y = result(w, shape, x.view());
  EXPECT_TRUE(close(y.view(), rows_of({{1.6240342}}).view(), float_sum_of(2)));
}

TEST(Mlp, TakesEachPatchByItself) {
  RandomWeights<float> source;
  const auto w = random_weights(source, 12, 20);
  const auto x = random<float, 2>({9, 12}, 1);
  const auto all = result(w, shape_of(3, 12, 20), x.view());
  for (Index l = 0; l < 9; ++l) {
    const auto alone = result(w, shape_of(1, 12, 20), x.view().rows(l, l + 1));
    EXPECT_TRUE(close(alone.view().row(0), all.view().row(l), kExact));
  }
}

TEST(Mlp, LeavesItsInputAlone) {
  RandomWeights<float> source;
  const auto w = random_weights(source, 12, 20);
  const auto shape = shape_of(2, 12, 20);
  EncoderScratch<Reference> s(shape);
  const auto x = random<float, 2>({4, 12}, 1), stream = random<float, 2>({4, 12}, 2);
  copy(reference, x.view(), s.normed.view());
  copy(reference, stream.view(), s.x.view());
  mlp(reference, w, shape, s);
  EXPECT_TRUE(close(s.normed.view(), x.view(), kExact));
  EXPECT_TRUE(close(s.x.view(), stream.view(), kExact));
}

TEST(Mlp, RejectsWeightsOfAnotherWidth) {
  RandomWeights<float> source;
  const auto w = random_weights(source, 12, 20), narrow_w = random_weights(source, 12, 19);
  const auto x = random<float, 2>({4, 12}, 1);
  EXPECT_THROW(result(narrow_w, shape_of(2, 12, 20), x.view()), ContractError);
  const Weights<float> mixed{w.fc1, narrow_w.fc2};
  EXPECT_THROW(result(mixed, shape_of(2, 12, 20), x.view()), ContractError);
}

// The definition again, in double. It shares no code with what it judges.
template <class Real>
Buffer<float, 2> oracle(const Weights<Real>& w, GeluForm form, View<const float, 2> x) {
  const Index L = x.size(0), D = x.size(1), F = w.fc1.weight.size(0);
  Buffer<float, 2> y({L, D});
  for (Index l = 0; l < L; ++l) {
    std::vector<double> out(D);
    for (Index f = 0; f < F; ++f) {
      double h = widen(w.fc1.bias(f));
      for (Index d = 0; d < D; ++d) h += double{x(l, d)} * widen(w.fc1.weight(f, d));
      const double bent =
          form == GeluForm::tanh
              ? std::tanh(std::sqrt(2 / std::numbers::pi) * (h + 0.044715 * h * h * h))
              : std::erf(h / std::numbers::sqrt2);
      for (Index d = 0; d < D; ++d) out[d] += h * (1 + bent) / 2 * widen(w.fc2.weight(d, f));
    }
    for (Index d = 0; d < D; ++d) {
      y.view()(l, d) = static_cast<float>(out[d] + widen(w.fc2.bias(d)));
    }
  }
  return y;
}

template <class Real>
class MlpOf : public ::testing::Test {};
using Reals = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(MlpOf, Reals);

// 36 and 52 are the golden PaliGemma 1's; the rest are the sizes that break kernels.
TYPED_TEST(MlpOf, MatchesTheDefinition) {
  struct Size {
    Index side, D, F;
  };
  for (const auto& [side, D, F] : {Size{1, 1, 1}, Size{2, 7, 1}, Size{5, 36, 52}, Size{1, 7, 255},
                                   Size{2, 257, 7}, Size{16, 1, 4}}) {
    RandomWeights<TypeParam> source;
    const auto w = random_weights(source, D, F);
    const auto x = random<float, 2>({side * side, D}, 1);
    auto shape = shape_of(side, D, F);
    for (const GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
      shape.gelu = form;
      EXPECT_TRUE(close(result(w, shape, x.view()).view(), oracle(w, form, x.view()).view(),
                        two_sums(D, F)))
          << side * side << " patches, D = " << D << ", F = " << F;
    }
  }
}

// ---- backward --------------------------------------------------------------------------------------

TEST(MlpBackward, OnTheWayThereItAddsToWhatIsThere) {
  RandomWeights<float> source;
  const EncoderShape shape = shape_of(2, 12, 20);
  const auto w = random_weights(source, 12, 20);
  const auto x = random<float, 2>({4, 12}, 1), before = random<float, 2>({4, 12}, 2);
  auto y = random<float, 2>({4, 12}, 2), expected = result(w, shape, x.view());
  siglip::MlpActivations<Reference> kept(shape, 4);
  mlp(reference, w, shape, x.view(), kept, y.view());
  residual_add(reference, before.view(), expected.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));
}

TEST(MlpBackward, IsTheSlopeOfTheWayThere) {
  EncoderShape shape = shape_of(2, 12, 20);
  shape.layers = 1;
  for (const GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
    shape.gelu = form;
    Slopes slopes;
    const auto w = load_encoder<HostWeights<float>>(shape, slopes).blocks[0].mlp;
    const auto x = slopes.input("x", 4, 12);
    auto sums = slopes.sums();
    const auto dw = load_encoder<HostGradients>(shape, sums).blocks[0].mlp;
    const auto dy = random<float, 2>({4, 12}, 2);
    siglip::MlpActivations<Reference> kept(shape, 4);
    const auto loss = [&] {
      Buffer<float, 2> y({4, 12});
      mlp(reference, w, shape, x, kept, y.view());
      EXPECT_TRUE(close(y.view(), result(w, shape, x).view(), kExact));
      return loss_of(dy.view(), std::as_const(y).view());
    };
    loss();
    auto dhidden = random<float, 2>({4, 20}, 3);  // what stands there does not matter
    mlp_backward(reference, w, shape, x, kept, dy.view(), dhidden.view(), slopes.gradient("x"), dw);

    // The two forms are too alike for differences of floats.
    Buffer<float, 2> expected({4, 20});
    linear_backward(reference, kept.hidden.view(), w.fc2, dy.view(), expected.view(), {});
    gelu_backward(reference, form, kept.sums.view(), expected.view(), expected.view());
    EXPECT_TRUE(close(dhidden.view(), expected.view(), kExact));
    slopes.expect_of(loss);
  }
}

}  // namespace
}  // namespace paligemma
