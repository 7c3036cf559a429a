#include "siglip/self_attention.h"

#include <cmath>
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
using Weights = siglip::SelfAttentionWeights<HostWeights<Real>>;

// A picture of side * side patches.
EncoderShape shape_of(Index side, Index D, Index N) {
  EncoderShape shape;
  shape.image_size = side * shape.patch_size;
  shape.width = D;
  shape.mlp_width = D;
  shape.heads = N;
  return shape;
}

template <class Real>
Weights<Real> random_weights(RandomWeights<Real>& source, Index D) {
  return {source.linear(D, D), source.linear(D, D), source.linear(D, D), source.linear(D, D)};
}

template <class Real>
Buffer<float, 2> attended(const Weights<Real>& w, const EncoderShape& shape,
                          View<const float, 2> x) {
  EncoderScratch<Reference> s(shape);
  copy(reference, x, s.normed.view());
  self_attention(reference, w, shape, s);
  return std::move(s.branch);
}

// Several sums of D terms, the terms of size 1 / sqrt(D): weights are that small.
Tolerance several_sums(Index D) { return float_sum_of(4 * D, std::sqrt(static_cast<double>(D))); }

// docs/siglip/self_attention.md, "By hand".
TEST(SelfAttention, WorkedExample) {
  const double a = std::log(3) / 2;
  const auto x = rows_of({{a, a, a, a, 1, -1, 1, -1},
                          {0, 0, 0, 0, 0, 0, 0, 0},
                          {0, 0, 0, 0, 0, 0, 0, 0},
                          {0, 0, 0, 0, 0, 0, 0, 0}});
  const Buffer<float, 2> nothing({8, 8});
  Buffer<float, 2> same({8, 8});
  for (Index d = 0; d < 8; ++d) same.view()(d, d) = 1;
  const Buffer<float, 1> zeros({8});
  const auto ones = vector_of({1, 1, 1, 1, 1, 1, 1, 1});
  const View<const float, 2> identity = same.view();
  const Weights<float> w{{nothing.view(), ones.view()},
                         {identity, zeros.view()},
                         {identity, zeros.view()},
                         {identity, zeros.view()}};

  const auto y = attended(w, shape_of(2, 8, 2), x.view());
  const auto row = vector_of({a / 2, a / 2, a / 2, a / 2, 0.25, -0.25, 0.25, -0.25});
  for (Index l = 0; l < 4; ++l) EXPECT_TRUE(close(y.view().row(l), row.view(), float_sum_of(8)));
}

// No mask: what the last patch shows reaches the first row, and the other way round.
TEST(SelfAttention, EveryPatchSeesEveryPatch) {
  RandomWeights<float> source;
  const auto w = random_weights(source, 12);
  const auto shape = shape_of(3, 12, 3);
  auto x = random<float, 2>({9, 12}, 1);
  const auto before = attended(w, shape, x.view());
  for (Index changed : {0, 8}) {
    x.view()(changed, 5) += 1;
    const auto after = attended(w, shape, x.view());
    for (Index l = 0; l < 9; ++l) {
      EXPECT_FALSE(close(after.view().row(l), before.view().row(l), several_sums(12)))
          << "patch " << l << " does not see patch " << changed;
    }
    x.view()(changed, 5) -= 1;
  }
}

// Attention knows no order: reversed patches give the same rows, reversed, but for the order of
// the sums over keys.
TEST(SelfAttention, PermutingThePatchesPermutesTheResult) {
  RandomWeights<float> source;
  const auto w = random_weights(source, 12);
  const auto shape = shape_of(4, 12, 3);
  const auto x = random<float, 2>({16, 12}, 1);
  Buffer<float, 2> reversed({16, 12});
  for (Index l = 0; l < 16; ++l) {
    copy(reference, x.view().rows(l, l + 1), reversed.view().rows(15 - l, 16 - l));
  }
  const auto y = attended(w, shape, x.view()), y_reversed = attended(w, shape, reversed.view());
  for (Index l = 0; l < 16; ++l) {
    EXPECT_TRUE(close(y_reversed.view().row(15 - l), y.view().row(l), twice(several_sums(12))));
  }
}

// If all patches are alike, a mean of their values is the value of each.
TEST(SelfAttention, OfEqualPatchesOnlyTheValuesRemain) {
  RandomWeights<float> source;
  const auto w = random_weights(source, 12);
  const auto one = random<float, 2>({1, 12}, 1);
  Buffer<float, 2> x({9, 12}), v({1, 12}), expected({1, 12});
  for (Index l = 0; l < 9; ++l) copy(reference, one.view(), x.view().rows(l, l + 1));
  linear(reference, one.view(), w.v, v.view());
  linear(reference, std::as_const(v).view(), w.out, expected.view());
  const auto y = attended(w, shape_of(3, 12, 3), x.view());
  for (Index l = 0; l < 9; ++l) {
    EXPECT_TRUE(close(y.view().row(l), expected.view().row(0), twice(several_sums(12))));
  }
}

// It adds the same to the scores of a query with every key, and softmax does not see that.
TEST(SelfAttention, TheBiasOfTheKeysChangesNothing) {
  RandomWeights<float> source;
  auto w = random_weights(source, 12);
  const auto x = random<float, 2>({9, 12}, 1);
  const auto y = attended(w, shape_of(3, 12, 3), x.view());
  const Buffer<float, 1> zeros({12});
  w.k.bias = zeros.view();
  const auto without = attended(w, shape_of(3, 12, 3), x.view());
  EXPECT_TRUE(close(without.view(), y.view(), twice(several_sums(12))));
}

TEST(SelfAttention, TheOtherBiasesCount) {
  RandomWeights<float> source;
  const auto w = random_weights(source, 12);
  const auto x = random<float, 2>({9, 12}, 1);
  const auto y = attended(w, shape_of(3, 12, 3), x.view());
  const Buffer<float, 1> zeros({12});
  for (auto layer : {&Weights<float>::q, &Weights<float>::v, &Weights<float>::out}) {
    auto changed = w;
    (changed.*layer).bias = zeros.view();
    const auto without = attended(changed, shape_of(3, 12, 3), x.view());
    EXPECT_FALSE(close(without.view(), y.view(), several_sums(12)));
  }
}

TEST(SelfAttention, LeavesItsInputAlone) {
  RandomWeights<float> source;
  const auto w = random_weights(source, 12);
  const auto shape = shape_of(3, 12, 3);
  EncoderScratch<Reference> s(shape);
  const auto x = random<float, 2>({9, 12}, 1), stream = random<float, 2>({9, 12}, 2);
  copy(reference, x.view(), s.normed.view());
  copy(reference, stream.view(), s.x.view());
  self_attention(reference, w, shape, s);
  EXPECT_TRUE(close(s.normed.view(), x.view(), kExact));
  EXPECT_TRUE(close(s.x.view(), stream.view(), kExact));
}

// The definition again, in double, head by head and query by query.
using Rows = std::vector<std::vector<double>>;

template <class Real>
Rows project(const Linear<HostWeights<Real>>& w, const Rows& x) {
  Rows y(x.size());
  for (std::size_t l = 0; l < x.size(); ++l) {
    for (Index o = 0; o < w.weight.size(0); ++o) {
      double sum = widen(w.bias(o));
      for (std::size_t i = 0; i < x[l].size(); ++i) sum += x[l][i] * widen(w.weight(o, i));
      y[l].push_back(sum);
    }
  }
  return y;
}

template <class Real>
Buffer<float, 2> oracle(const Weights<Real>& w, Index N, View<const float, 2> normed) {
  const Index L = normed.size(0), D = normed.size(1), H = D / N;
  Rows x(L);
  for (Index l = 0; l < L; ++l) {
    for (Index d = 0; d < D; ++d) x[l].push_back(normed(l, d));
  }
  const Rows q = project(w.q, x), k = project(w.k, x), v = project(w.v, x);
  Rows mixed(L, std::vector<double>(D));
  for (Index n = 0; n < N; ++n) {
    for (Index l = 0; l < L; ++l) {
      std::vector<double> weight(L);
      double sum = 0;
      for (Index s = 0; s < L; ++s) {
        double score = 0;
        for (Index d = n * H; d < (n + 1) * H; ++d) score += q[l][d] * k[s][d];
        sum += weight[s] = std::exp(score / std::sqrt(static_cast<double>(H)));
      }
      for (Index s = 0; s < L; ++s) {
        for (Index d = n * H; d < (n + 1) * H; ++d) mixed[l][d] += weight[s] / sum * v[s][d];
      }
    }
  }
  const Rows out = project(w.out, mixed);
  Buffer<float, 2> y({L, D});
  for (Index l = 0; l < L; ++l) {
    for (Index d = 0; d < D; ++d) y.view()(l, d) = static_cast<float>(out[l][d]);
  }
  return y;
}

template <class Real>
class SelfAttentionOf : public ::testing::Test {};
using Reals = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(SelfAttentionOf, Reals);

// 16 * 16 patches are a 224-pixel picture, heads of 72 are So400m's, 36 and 3 the golden
// PaliGemma 1's; the rest are the sizes that break kernels.
TYPED_TEST(SelfAttentionOf, MatchesTheDefinition) {
  struct Size {
    Index side, D, N;
  };
  for (const auto& [side, D, N] :
       {Size{1, 1, 1}, Size{2, 7, 7}, Size{3, 7, 1}, Size{5, 36, 3}, Size{1, 255, 3},
        Size{2, 257, 1}, Size{16, 8, 2}, Size{3, 144, 2}}) {
    RandomWeights<TypeParam> source;
    const auto w = random_weights(source, D);
    const auto x = random<float, 2>({side * side, D}, 1);
    const auto y = attended(w, shape_of(side, D, N), x.view());
    EXPECT_TRUE(close(y.view(), oracle(w, N, x.view()).view(), several_sums(D)))
        << side * side << " patches, D = " << D << ", N = " << N;
  }
}

// ---- backward --------------------------------------------------------------------------------------

// Two pictures of four patches.
TEST(SelfAttentionBackward, IsTheSlopeOfTheWayThere) {
  EncoderShape shape = shape_of(2, 12, 3);
  shape.layers = 1;
  Slopes slopes;
  const auto w = load_encoder<HostWeights<float>>(shape, slopes).blocks[0].self_attention;
  const auto x = slopes.input("x", 8, 12);
  auto sums = slopes.sums();
  const auto dw = load_encoder<HostGradients>(shape, sums).blocks[0].self_attention;
  const auto dy = random<float, 2>({8, 12}, 2);
  siglip::SelfAttentionActivations<Reference> kept(shape, 8), d(shape, 8);
  const auto loss = [&] {
    Buffer<float, 2> y({8, 12});
    self_attention(reference, w, shape, x, kept, y.view());
    return loss_of(dy.view(), std::as_const(y).view());
  };
  loss();
  Buffer<float, 2> other({8, 12});  // what an earlier call left in d does not matter
  self_attention_backward(reference, w, shape, x, kept, dy.view(), d, other.view(),
                          siglip::SelfAttentionWeights<HostGradients>());
  self_attention_backward(reference, w, shape, x, kept, dy.view(), d, slopes.gradient("x"), dw);
  slopes.expect_of(loss);
}

// But for roundings: a bias of the keys, which changes nothing else, stays unseen.
TEST(SelfAttentionBackward, OnTheWayThereItAddsTheSameOfEachPicture) {
  RandomWeights<float> source;
  const EncoderShape shape = shape_of(3, 12, 3);
  const auto w = random_weights(source, 12);
  const auto x = random<float, 2>({18, 12}, 1);
  const auto before = random<float, 2>({18, 12}, 2);
  auto y = random<float, 2>({18, 12}, 2);
  siglip::SelfAttentionActivations<Reference> kept(shape, 18);
  self_attention(reference, w, shape, x.view(), kept, y.view());
  for (const Index row : {0, 9}) {
    auto expected = attended(w, shape, x.view().rows(row, row + 9));
    residual_add(reference, before.view().rows(row, row + 9), expected.view());
    EXPECT_TRUE(close(y.view().rows(row, row + 9), expected.view(), several_sums(12)));
  }
}

}  // namespace
}  // namespace paligemma
