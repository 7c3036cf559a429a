#include "siglip/attention_pool.h"

#include <cmath>
#include <vector>

#include "paligemma/weights.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/vision_tower.h"

namespace paligemma {
namespace {

using namespace test;
using siglip::EncoderScratch;
using siglip::EncoderShape;

template <class Real>
using Weights = siglip::AttentionPoolWeights<HostWeights<Real>>;

// A picture of side * side patches. The head's MLP is of another width than the blocks'.
EncoderShape shape_of(Index side, Index D, Index N, Index F) {
  EncoderShape shape;
  shape.image_size = side * shape.patch_size;
  shape.width = D;
  shape.mlp_width = F + 3;
  shape.head_mlp_width = F;
  shape.heads = N;
  return shape;
}

template <class Real>
Weights<Real> random_weights(const EncoderShape& shape, RandomWeights<Real>& source) {
  return load_head<HostWeights<Real>>(shape, source);
}

template <class Real>
Buffer<float, 2> pooled(const Weights<Real>& w, const EncoderShape& shape, View<const float, 2> x) {
  EncoderScratch<Reference> s(shape);
  copy(reference, x, s.normed.view());
  Buffer<float, 2> y({1, shape.width}, unwritten);
  std::fill_n(y.view().data(), shape.width, NAN);
  attention_pool(reference, w, shape, s, y.view());
  EXPECT_TRUE(close(std::as_const(s.normed).view(), x, kExact));
  return y;
}

// docs/siglip/attention_pool.md, "By hand".
TEST(AttentionPool, WorkedExample) {
  const double a = std::sqrt(2) * std::log(3);
  const auto probe = rows_of({{1, 0}});
  const auto in = rows_of({{1, 0}, {0, 1}, {1, 0}, {0, 1}, {1, 0}, {0, 1}}),
             out = rows_of({{1, 0}, {0, 1}});
  const auto none6 = vector_of({0, 0, 0, 0, 0, 0}), none2 = vector_of({0, 0}),
             ones = vector_of({1, 1});
  const auto fc1 = rows_of({{1, 0}}), fc2 = rows_of({{1}, {0}});
  const auto none1 = vector_of({0}), bias2 = vector_of({0, 0.1});
  const Weights<float> w{probe.view(),
                         {in.view(), none6.view()},
                         {out.view(), none2.view()},
                         {ones.view(), none2.view()},
                         {{fc1.view(), none1.view()}, {fc2.view(), bias2.view()}}};
  auto shape = shape_of(2, 2, 1, 1);
  shape.norm_eps = 0;
  const auto x = rows_of({{a, 0}, {0, 1}, {a, 0}, {0, 1}});
  const auto y = pooled(w, shape, x.view());
  EXPECT_TRUE(close(y.view(), rows_of({{2.0064463, 0.35}}).view(), float_sum_of(12)));
}

// One head of the definition, in double.
struct Definition {
  const Weights<float>& w;
  const EncoderShape& shape;
  View<const float, 2> x;
  Index D = shape.width, L = shape.patches(), H = D / shape.heads;

  using Row = std::vector<double>;
  static Row layer(View<const float, 2> weight, View<const float, 1> bias, const Row& in) {
    Row y;
    for (Index o = 0; o < weight.size(0); ++o) {
      y.push_back(bias(o));
      for (Index i = 0; i < weight.size(1); ++i)
        y.back() += weight(o, i) * in[static_cast<std::size_t>(i)];
    }
    return y;
  }
  Row projected(Index part, const Row& in) const {
    return layer(w.in.weight.rows(part * D, (part + 1) * D),
                 w.in.bias.rows(part * D, (part + 1) * D), in);
  }
  Row patch(Index l) const { return {&x(l, 0), &x(l, 0) + D}; }

  Row attended() const {
    const Row q = projected(0, {w.probe.data(), w.probe.data() + D});
    Row mixed(static_cast<std::size_t>(D));
    for (Index n = 0; n < shape.heads; ++n) {
      double total = 0;
      std::vector<double> weight;
      for (Index l = 0; l < L; ++l) {
        const Row k = projected(1, patch(l));
        double score = 0;
        for (Index h = n * H; h < (n + 1) * H; ++h)
          score += q[static_cast<std::size_t>(h)] * k[static_cast<std::size_t>(h)];
        weight.push_back(std::exp(score / std::sqrt(static_cast<double>(H))));
        total += weight.back();
      }
      for (Index l = 0; l < L; ++l) {
        const Row v = projected(2, patch(l));
        for (Index h = n * H; h < (n + 1) * H; ++h) {
          const auto at = static_cast<std::size_t>(h);
          mixed[at] += weight[static_cast<std::size_t>(l)] / total * v[at];
        }
      }
    }
    return layer(w.out.weight, w.out.bias, mixed);
  }

  Buffer<float, 2> result() const {
    const Row y = attended();
    double mean = 0, variance = 0;
    for (double value : y) mean += value / static_cast<double>(D);
    for (double value : y) variance += (value - mean) * (value - mean) / static_cast<double>(D);
    Row normed;
    for (Index d = 0; d < D; ++d) {
      const double value = y[static_cast<std::size_t>(d)];
      normed.push_back((value - mean) / std::sqrt(variance + double{shape.norm_eps}) *
                           w.norm.scale(d) +
                       w.norm.bias(d));
    }
    Row hidden = layer(w.mlp.fc1.weight, w.mlp.fc1.bias, normed);
    for (double& value : hidden) {
      const double inner = std::sqrt(2 / M_PI) * (value + 0.044715 * value * value * value);
      value *= shape.head_gelu == GeluForm::tanh ? (1 + std::tanh(inner)) / 2
                                                 : (1 + std::erf(value / std::sqrt(2))) / 2;
    }
    const Row mlp = layer(w.mlp.fc2.weight, w.mlp.fc2.bias, hidden);
    Buffer<float, 2> sum({1, D});
    for (std::size_t d = 0; d < y.size(); ++d)
      sum.view().data()[d] = static_cast<float>(y[d] + mlp[d]);
    return sum;
  }
};

// Behind one another stand sums of D terms for q, k, v, scores and out, two of the norm, which divides by
// a spread of about 1, and one of F terms.
Tolerance several_sums(Index D, Index F) {
  return float_sum_of(8 * D + F, std::sqrt(static_cast<double>(D + F)));
}

TEST(AttentionPool, IsTheDefinition) {
  for (const GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
    for (const auto& [side, D, N, F] :
         {std::array<Index, 4>{1, 8, 1, 5}, {2, 12, 3, 20}, {3, 12, 12, 1}, {3, 36, 3, 52}}) {
      auto shape = shape_of(side, D, N, F);
      shape.head_gelu = form;
      RandomWeights<float> source;
      const auto w = random_weights(shape, source);
      const auto x = random<float, 2>({side * side, D}, 1);
      const auto expected = Definition{w, shape, x.view()}.result();
      EXPECT_TRUE(close(pooled(w, shape, x.view()).view(), expected.view(), several_sums(D, F)))
          << side << " patches a side, D = " << D << ", N = " << N << ", F = " << F;
    }
  }
}

// The forms differ by up to 5e-4, which the test before this one would not see in every number.
TEST(AttentionPool, HasAGeluOfItsOwn) {
  auto shape = shape_of(2, 12, 3, 20);
  RandomWeights<float> source;
  const auto w = random_weights(shape, source);
  const auto x = random<float, 2>({4, 12}, 1);
  const auto as_is = pooled(w, shape, x.view());
  shape.gelu = GeluForm::exact;
  EXPECT_TRUE(close(pooled(w, shape, x.view()).view(), as_is.view(), kExact));
  shape.head_gelu = GeluForm::exact;
  EXPECT_FALSE(close(pooled(w, shape, x.view()).view(), as_is.view(), several_sums(12, 20)));
}

// Each patch is looked at, and where it stands does not matter here.
TEST(AttentionPool, APictureIsASet) {
  const auto shape = shape_of(3, 12, 3, 20);
  RandomWeights<float> source;
  const auto w = random_weights(shape, source);
  auto x = random<float, 2>({9, 12}, 1);
  Buffer<float, 2> reversed({9, 12});
  for (Index l = 0; l < 9; ++l) {
    for (Index d = 0; d < 12; ++d) reversed.view()(8 - l, d) = x.view()(l, d);
  }
  const auto y = pooled(w, shape, x.view());
  EXPECT_TRUE(
      close(pooled(w, shape, reversed.view()).view(), y.view(), twice(several_sums(12, 20))));
  for (Index l = 0; l < 9; ++l) {
    x.view()(l, 3) += 1;
    EXPECT_FALSE(close(pooled(w, shape, x.view()).view(), y.view(), twice(several_sums(12, 20))));
    x.view()(l, 3) -= 1;
  }
}

// The probe asks and is not added: where attention says nothing, neither probe nor picture is left.
TEST(AttentionPool, TheProbeIsNoPartOfTheAnswer) {
  const auto shape = shape_of(2, 12, 3, 20);
  RandomWeights<float> source;
  auto w = random_weights(shape, source);
  const Buffer<float, 2> nothing({12, 12});
  w.out.weight = nothing.view();
  const auto x = random<float, 2>({4, 12}, 1), other = random<float, 2>({4, 12}, 2);
  const auto y = pooled(w, shape, x.view());
  const auto probe = random<float, 2>({1, 12}, 3);
  w.probe = probe.view();
  EXPECT_TRUE(close(pooled(w, shape, other.view()).view(), y.view(), kExact));
}

TEST(AttentionPool, RefusesAHeadThatIsTooWide) {
  auto shape = shape_of(2, 12, 3, 20);
  shape.head_mlp_width = 4 * shape.mlp_width + 1;  // than all of the scratch
  RandomWeights<float> source;
  const auto w = random_weights(shape, source);
  EXPECT_THROW(pooled(w, shape, random<float, 2>({4, 12}, 1).view()), ContractError);
}

template <class Real>
class AttentionPoolOf : public ::testing::Test {};
using Reals = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(AttentionPoolOf, Reals);

// Once more by the leaves: the same bits.
TYPED_TEST(AttentionPoolOf, IsItsLeavesInOrder) {
  const auto shape = shape_of(3, 12, 3, 20);
  RandomWeights<TypeParam> source;
  const auto w = random_weights(shape, source);
  const auto x = random<float, 2>({9, 12}, 1);

  const auto part = [&](Index i, View<const float, 2> in) {
    Buffer<float, 2> y({in.size(0), 12});
    linear(reference, in,
           Linear{w.in.weight.rows(12 * i, 12 * i + 12), w.in.bias.rows(12 * i, 12 * i + 12)},
           y.view());
    return y;
  };
  const auto out = [](const auto& layer, const Buffer<float, 2>& in) {
    Buffer<float, 2> y({1, layer.weight.size(0)});
    linear(reference, in.view(), layer, y.view());
    return y;
  };
  const auto heads = [](const Buffer<float, 2>& rows) {
    return rows.view().reshaped<3>({rows.view().size(0), 3, 4});
  };
  Buffer<float, 2> probe({1, 12}), mixed({1, 12}), normed({1, 12});
  for (Index d = 0; d < 12; ++d) probe.view()(0, d) = widen(w.probe(0, d));
  const auto q = part(0, probe.view()), k = part(1, x.view()), v = part(2, x.view());
  scaled_dot_product_attention(reference, heads(q), heads(k), heads(v), {}, {0.5f},
                               mixed.view().reshaped<3>({1, 3, 4}));
  auto y = out(w.out, mixed);
  layer_norm(reference, y.view(), w.norm.scale, w.norm.bias, 1e-6f, normed.view());
  auto hidden = out(w.mlp.fc1, normed);
  gelu(reference, GeluForm::tanh, hidden.view(), hidden.view());
  const auto mlp = out(w.mlp.fc2, hidden);
  residual_add(reference, mlp.view(), y.view());
  EXPECT_TRUE(close(pooled(w, shape, x.view()).view(), std::as_const(y).view(), kExact));
}

}  // namespace
}  // namespace paligemma
