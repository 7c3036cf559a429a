#include "siglip/encoder_block.h"

#include "paligemma/weights.h"
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
using Weights = siglip::EncoderBlockWeights<HostWeights<Real>>;

// A picture of nine patches.
EncoderShape small_shape() {
  EncoderShape shape;
  shape.image_size = 3 * shape.patch_size;
  shape.width = 12;
  shape.mlp_width = 20;
  shape.heads = 3;
  return shape;
}

template <class Real>
Weights<Real> random_weights(RandomWeights<Real>& source, const EncoderShape& shape) {
  const Index D = shape.width, F = shape.mlp_width;
  const auto norm = [&] {
    return siglip::LayerNormWeights<HostWeights<Real>>{source.vector("", D), source.vector("", D)};
  };
  const auto square = [&] { return source.linear(D, D); };
  return {norm(),
          {square(), square(), square(), square()},
          norm(),
          {source.linear(F, D), source.linear(D, F)}};
}

// Runs one block on a copy of x; the scratch then holds the stream after it.
template <class Real>
HeardTaps run(const Weights<Real>& w, const EncoderShape& shape, View<const float, 2> x,
              EncoderScratch<Reference>& s) {
  HeardTaps heard;
  copy(reference, x, s.x.view());
  encoder_block(reference, w, shape, s, Tap(heard, "b/"));
  return heard;
}

TEST(EncoderBlock, TapsComeInOrder) {
  RandomWeights<float> source;
  const auto shape = small_shape();
  EncoderScratch<Reference> s(shape);
  const auto x = random<float, 2>({9, 12}, 1);
  const auto heard = run(random_weights(source, shape), shape, x.view(), s);
  EXPECT_EQ(heard.names, (std::vector<std::string>{"b/sa", "b/+sa", "b/mlp", "b/+mlp"}));
  EXPECT_TRUE(close(heard.rows("b/+mlp", 12), std::as_const(s.x).view(), kExact));
}

TEST(EncoderBlock, TheStreamIsTheSumOfItsBranches) {
  RandomWeights<float> source;
  const auto shape = small_shape();
  EncoderScratch<Reference> s(shape);
  const auto x = random<float, 2>({9, 12}, 1);
  const auto heard = run(random_weights(source, shape), shape, x.view(), s);
  for (std::size_t i = 0; i < 9 * 12; ++i) {
    EXPECT_EQ(heard.numbers.at("b/+sa")[i], x.view().data()[i] + heard.numbers.at("b/sa")[i]);
    EXPECT_EQ(heard.numbers.at("b/+mlp")[i],
              heard.numbers.at("b/+sa")[i] + heard.numbers.at("b/mlp")[i]);
  }
}

// The way past a block is open: if both branches say nothing, the same bits come out.
TEST(EncoderBlock, WithSilentBranchesTheStreamPassesThrough) {
  RandomWeights<float> source;
  const auto shape = small_shape();
  auto w = random_weights(source, shape);
  const Buffer<float, 2> no_out({12, 12}), no_fc2({12, 20});
  const Buffer<float, 1> no_bias({12});
  w.self_attention.out = {no_out.view(), no_bias.view()};
  w.mlp.fc2 = {no_fc2.view(), no_bias.view()};
  EncoderScratch<Reference> s(shape);
  const auto x = random<float, 2>({9, 12}, 1);
  run(w, shape, x.view(), s);
  EXPECT_TRUE(close(s.x.view(), x.view(), kExact));
}

// What attention reads is normalised, what it is added to is not. The powers of two keep the bits.
TEST(EncoderBlock, NormalisesTheBranchAndNotTheStream) {
  RandomWeights<float> source;
  auto shape = small_shape();
  shape.norm_eps = 0;
  const auto w = random_weights(source, shape);
  EncoderScratch<Reference> s(shape);
  const auto x = random<float, 2>({9, 12}, 1);
  Buffer<float, 2> loud({9, 12});
  for (Index i = 0; i < 9 * 12; ++i) loud.view().data()[i] = 1024 * x.view().data()[i];
  const auto quiet_taps = run(w, shape, x.view(), s);
  const auto loud_taps = run(w, shape, loud.view(), s);
  EXPECT_EQ(loud_taps.numbers.at("b/sa"), quiet_taps.numbers.at("b/sa"));
  for (std::size_t i = 0; i < 9 * 12; ++i) {
    EXPECT_EQ(loud_taps.numbers.at("b/+sa")[i],
              loud.view().data()[i] + loud_taps.numbers.at("b/sa")[i]);
  }
}

// Row 0 hears of the last patch through attention; the MLP alone would not tell it.
TEST(EncoderBlock, OnlyAttentionMixesPatches) {
  RandomWeights<float> source;
  const auto shape = small_shape();
  auto w = random_weights(source, shape);
  EncoderScratch<Reference> s(shape);
  auto x = random<float, 2>({9, 12}, 1);
  const auto change_of_row_0 = [&] {
    const auto before = run(w, shape, x.view(), s);
    x.view()(8, 3) += 1;
    const auto after = run(w, shape, x.view(), s);
    x.view()(8, 3) -= 1;
    return before.rows("b/+mlp", 12)(0, 0) != after.rows("b/+mlp", 12)(0, 0);
  };
  EXPECT_TRUE(change_of_row_0());
  const Buffer<float, 2> nothing({12, 12});
  w.self_attention.out.weight = nothing.view();
  EXPECT_FALSE(change_of_row_0());
}

template <class Real>
class EncoderBlockOf : public ::testing::Test {};
using Reals = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(EncoderBlockOf, Reals);

// Equations 2 and 3 of the ViT paper once more, by the leaves: the same bits.
TYPED_TEST(EncoderBlockOf, IsItsLeavesInOrder) {
  RandomWeights<TypeParam> source;
  const auto shape = small_shape();
  const auto w = random_weights(source, shape);
  const auto x = random<float, 2>({9, 12}, 1);
  EncoderScratch<Reference> s(shape);
  const auto heard = run(w, shape, x.view(), s);

  const auto out = [](const auto& layer, const Buffer<float, 2>& in) {
    Buffer<float, 2> y({9, layer.weight.size(0)});
    linear(reference, in.view(), layer, y.view());
    return y;
  };
  const auto norm = [&](const auto& weights, View<const float, 2> in) {
    Buffer<float, 2> y({9, 12});
    layer_norm(reference, in, weights.scale, weights.bias, 1e-6f, y.view());
    return y;
  };
  const auto heads = [](const Buffer<float, 2>& rows) {
    return rows.view().reshaped<3>({9, 3, 4});
  };

  const auto normed = norm(w.norm1, x.view());
  const auto q = out(w.self_attention.q, normed), k = out(w.self_attention.k, normed),
             v = out(w.self_attention.v, normed);
  Buffer<float, 2> mixed({9, 12}), z({9, 12});
  scaled_dot_product_attention(reference, heads(q), heads(k), heads(v), {}, {0.5f},
                               mixed.view().reshaped<3>({9, 3, 4}));
  const auto sa = out(w.self_attention.out, mixed);
  copy(reference, x.view(), z.view());
  residual_add(reference, sa.view(), z.view());
  EXPECT_TRUE(close(heard.rows("b/sa", 12), sa.view(), kExact));
  EXPECT_TRUE(close(heard.rows("b/+sa", 12), std::as_const(z).view(), kExact));

  auto hidden = out(w.mlp.fc1, norm(w.norm2, z.view()));
  gelu(reference, GeluForm::tanh, hidden.view(), hidden.view());
  const auto mlp = out(w.mlp.fc2, hidden);
  residual_add(reference, mlp.view(), z.view());
  EXPECT_TRUE(close(heard.rows("b/mlp", 12), mlp.view(), kExact));
  EXPECT_TRUE(close(heard.rows("b/+mlp", 12), std::as_const(z).view(), kExact));
}

// ---- backward --------------------------------------------------------------------------------------

// Two pictures of nine patches.
TEST(EncoderBlockBackward, IsTheSlopeOfTheWayThere) {
  EncoderShape shape = small_shape();
  shape.layers = 1;
  Slopes slopes;
  const auto w = load_encoder<HostWeights<float>>(shape, slopes).blocks[0];
  const auto x = slopes.input("x", 18, 12);
  auto sums = slopes.sums();
  const auto dw = load_encoder<HostGradients>(shape, sums).blocks[0];
  const auto dy = random<float, 2>({18, 12}, 2);
  siglip::EncoderBlockActivations<Reference> kept(shape, 18);
  siglip::EncoderBlockGradients<Reference> d(shape, 18);
  const auto loss = [&] {
    Buffer<float, 2> y({18, 12});
    encoder_block(reference, w, shape, x, kept, y.view());
    return loss_of(dy.view(), std::as_const(y).view());
  };
  loss();
  auto other = random<float, 2>({18, 12}, 2);  // what an earlier call left in d does not matter
  encoder_block_backward(reference, w, shape, x, kept, d, other.view(),
                         siglip::EncoderBlockWeights<HostGradients>());
  const auto dx = slopes.gradient("x");
  copy(reference, dy.view(), dx);
  encoder_block_backward(reference, w, shape, x, kept, d, dx, dw);
  slopes.expect_of(loss);
}

TEST(EncoderBlockBackward, OnTheWayThereItSaysTheSame) {
  RandomWeights<float> source;
  const auto shape = small_shape();
  const auto w = random_weights(source, shape);
  const auto x = random<float, 2>({18, 12}, 1);
  Buffer<float, 2> y({18, 12});
  siglip::EncoderBlockActivations<Reference> kept(shape, 18);
  encoder_block(reference, w, shape, x.view(), kept, y.view());
  for (const Index row : {0, 9}) {
    EncoderScratch<Reference> s(shape);
    run(w, shape, x.view().rows(row, row + 9), s);
    EXPECT_TRUE(close(y.view().rows(row, row + 9), s.x.view(), kExact));
  }
}

}  // namespace
}  // namespace paligemma
