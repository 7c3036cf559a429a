#include "siglip/encoder.h"

#include "paligemma/checkpoint.h"
#include "paligemma/config.h"
#include "tensor/safetensors.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/slopes.h"
#include "tests/support/source_dir.h"
#include "tests/support/vision_tower.h"

namespace paligemma {
namespace {

using namespace test;
using siglip::EncoderScratch;
using siglip::EncoderShape;

template <class Real>
using Weights = siglip::EncoderWeights<HostWeights<Real>>;

// 3 x 3 patches of 2 pixels, two blocks.
EncoderShape small_shape() {
  EncoderShape shape;
  shape.image_size = 6;
  shape.patch_size = 2;
  shape.width = 12;
  shape.mlp_width = 20;
  shape.heads = 3;
  shape.layers = 2;
  return shape;
}

template <class Real>
HeardTaps run(const Weights<Real>& w, const EncoderShape& shape, const Buffer<float, 3>& pixels) {
  HeardTaps heard;
  EncoderScratch<Reference> s(shape);
  encoder(reference, w, shape, pixels.view(), s, Tap(heard, "img/"));
  EXPECT_TRUE(
      close(std::as_const(s.normed).view(), heard.rows("img/encoded", shape.width), kExact));
  return heard;
}

TEST(Encoder, TapsComeInOrder) {
  RandomWeights<float> source;
  const auto w = load_encoder<HostWeights<float>>(small_shape(), source);
  const auto heard = run(w, small_shape(), random<float, 3>({6, 6, 3}, 1));
  const std::vector<std::string> expected{
      "img/pixels",
      "img/stem",
      "img/with_posemb",
      "img/encoder/block00/sa",
      "img/encoder/block00/+sa",
      "img/encoder/block00/mlp",
      "img/encoder/block00/+mlp",
      "img/encoder/block01/sa",
      "img/encoder/block01/+sa",
      "img/encoder/block01/mlp",
      "img/encoder/block01/+mlp",
      "img/encoded",
  };
  EXPECT_EQ(heard.names, expected);
}

// One row per patch, nothing before them and nothing pooled.
TEST(Encoder, KeepsEveryPatch) {
  RandomWeights<float> source;
  const auto w = load_encoder<HostWeights<float>>(small_shape(), source);
  const auto heard = run(w, small_shape(), random<float, 3>({6, 6, 3}, 1));
  EXPECT_EQ(heard.rows("img/stem", 12).size(0), 9);
  EXPECT_EQ(heard.rows("img/encoded", 12).size(0), 9);
}

TEST(Encoder, AddsThePositionsOnce) {
  RandomWeights<float> source;
  const auto w = load_encoder<HostWeights<float>>(small_shape(), source);
  const auto heard = run(w, small_shape(), random<float, 3>({6, 6, 3}, 1));
  for (std::size_t i = 0; i < 9 * 12; ++i) {
    const float with = heard.numbers.at("img/stem")[i] + w.position_embedding.data()[i];
    EXPECT_EQ(heard.numbers.at("img/with_posemb")[i], with);
    const float after_sa = with + heard.numbers.at("img/encoder/block00/sa")[i];
    EXPECT_EQ(heard.numbers.at("img/encoder/block00/+sa")[i], after_sa);
    const float before = heard.numbers.at("img/encoder/block00/+mlp")[i];
    EXPECT_EQ(heard.numbers.at("img/encoder/block01/+sa")[i],
              before + heard.numbers.at("img/encoder/block01/sa")[i]);
  }
}

TEST(Encoder, NormalisesWhatTheLastBlockLeft) {
  RandomWeights<float> source;
  const auto w = load_encoder<HostWeights<float>>(small_shape(), source);
  const auto heard = run(w, small_shape(), random<float, 3>({6, 6, 3}, 1));
  Buffer<float, 2> expected({9, 12});
  layer_norm(reference, heard.rows("img/encoder/block01/+mlp", 12), w.post_norm.scale,
             w.post_norm.bias, 1e-6f, expected.view());
  EXPECT_TRUE(close(heard.rows("img/encoded", 12), std::as_const(expected).view(), kExact));
}

// Shuffled patches give shuffled rows if no position is added, and other rows if one is. Only the
// sums over keys change their order. Their roundings pass through the eight sums of 12 terms of
// each of two blocks; what leaves the last norm is below 4.
TEST(Encoder, WithoutPositionsAPictureIsASet) {
  auto shape = small_shape();
  shape.image_size = 3;
  shape.patch_size = 1;
  RandomWeights<float> source;
  auto w = load_encoder<HostWeights<float>>(shape, source);
  const auto pixels = random<float, 3>({3, 3, 3}, 1);
  Buffer<float, 3> reversed({3, 3, 3});
  for (Index l = 0; l < 9; ++l) {
    for (Index c = 0; c < 3; ++c) {
      reversed.view()(2 - l / 3, 2 - l % 3, c) = pixels.view()(l / 3, l % 3, c);
    }
  }
  const auto is_a_set = [&] {
    const auto heard = run(w, shape, pixels), heard_reversed = run(w, shape, reversed);
    const auto y = heard.rows("img/encoded", 12);
    const auto y_reversed = heard_reversed.rows("img/encoded", 12);
    bool same = true;
    for (Index l = 0; l < 9; ++l) {
      same &= bool(close(y_reversed.row(8 - l), y.row(l), twice(float_sum_of(2 * 8 * 12, 4))));
    }
    return same;
  };
  EXPECT_FALSE(is_a_set());
  const Buffer<float, 2> nowhere({9, 12});
  w.position_embedding = nowhere.view();
  EXPECT_TRUE(is_a_set());
}

TEST(Encoder, HasSiglipsEpsAndGeluUnlessToldOtherwise) {
  EXPECT_EQ(EncoderShape{}.norm_eps, 1e-6f);
  EXPECT_EQ(EncoderShape{}.gelu, GeluForm::tanh);
}

TEST(Encoder, RejectsAPictureOfAnotherSize) {
  RandomWeights<float> source;
  const auto w = load_encoder<HostWeights<float>>(small_shape(), source);
  EncoderScratch<Reference> s(small_shape());
  const Buffer<float, 3> larger({8, 8, 3});
  EXPECT_THROW(encoder(reference, w, small_shape(), larger.view(), s, NoTap{}), ContractError);
}

template <class Real>
class EncoderOf : public ::testing::Test {};
using Reals = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(EncoderOf, Reals);

TYPED_TEST(EncoderOf, IsItsPiecesInOrder) {
  RandomWeights<TypeParam> source;
  const auto shape = small_shape();
  const auto w = load_encoder<HostWeights<TypeParam>>(shape, source);
  const auto pixels = random<float, 3>({6, 6, 3}, 1);
  const auto heard = run(w, shape, pixels);

  EncoderScratch<Reference> s(shape);
  patch_embedding(reference, pixels.view(), w.patch_embedding, w.patch_embedding_bias, 2,
                  s.x.view());
  position_embedding(reference, w.position_embedding, s.x.view());
  encoder_block(reference, w.blocks[0], shape, s, NoTap{});
  encoder_block(reference, w.blocks[1], shape, s, NoTap{});
  layer_norm(reference, s.x.view(), w.post_norm.scale, w.post_norm.bias, 1e-6f, s.x.view());
  EXPECT_TRUE(close(heard.rows("img/encoded", 12), std::as_const(s.x).view(), kExact));
}

// The golden checkpoints, float and bf16, and what Hugging Face's transformers makes of their
// pictures: each tap against the tolerance that is stored beside it (tests/golden/README.md).
template <class Real>
void compare_with_transformers(const std::string& folder) {
  const SafetensorsFile golden(folder + "/golden.safetensors");
  const Config config = read_config(folder);
  Checkpoint checkpoint(folder, config);
  const auto weights = checkpoint.weights<Real>(config);

  const auto numbers = [&](const std::string& name) {
    return reinterpret_cast<const float*>(golden.tensors().at(name).bytes.data());
  };
  const Index R = config.vision.image_size;
  Buffer<float, 3> pixels({R, R, 3});
  std::copy_n(numbers("img/pixels"), R * R * 3, pixels.view().data());
  const auto heard = run(weights.vision, config.vision, pixels);

  for (const auto& [name, tap] : heard.numbers) {
    ASSERT_EQ(static_cast<std::size_t>(golden.tensors().at(name).count()), tap.size()) << name;
    const View<const float, 1> actual(tap.data(), {static_cast<Index>(tap.size())});
    const View<const float, 1> expected(numbers(name), actual.shape());
    EXPECT_TRUE(close(actual, expected, {0, *numbers(name + ":tolerance")})) << name;
  }
}

TEST(Encoder, GivesTheActivationsOfTransformersInFloat) {
  compare_with_transformers<float>(source_dir() + "/tests/golden/paligemma1");
}

TEST(Encoder, GivesTheActivationsOfTransformersInBf16) {
  compare_with_transformers<bf16>(source_dir() + "/tests/golden/paligemma2");
}

// ---- backward --------------------------------------------------------------------------------------

Buffer<float, 4> two_pictures() { return random<float, 4>({2, 6, 6, 3}, 1); }

TEST(EncoderBackward, IsTheSlopeOfTheWayThere) {
  const EncoderShape shape = small_shape();
  for (const Recompute recompute : {Recompute::none, Recompute::blocks}) {
    Slopes slopes;
    const auto w = load_encoder<HostWeights<float>>(shape, slopes);
    auto sums = slopes.sums();
    const auto dw = load_encoder<HostGradients>(shape, sums);
    const auto pixels = two_pictures();
    const auto dy = random<float, 2>({18, 12}, 2);
    siglip::EncoderActivations<Reference> kept(shape, 2, recompute);
    const auto loss = [&] {
      encoder(reference, w, shape, pixels.view(), kept);
      return loss_of(dy.view(), std::as_const(kept.normed).view());
    };
    loss();
    encoder_backward(reference, w, shape, pixels.view(), kept, dy.view(), dw);
    slopes.expect_of(loss);
  }
}

TEST(EncoderBackward, OnTheWayThereItSaysTheSameOfEachPicture) {
  RandomWeights<float> source;
  const auto shape = small_shape();
  const auto w = load_encoder<HostWeights<float>>(shape, source);
  const auto pixels = two_pictures();
  siglip::EncoderActivations<Reference> kept(shape, 2, Recompute::blocks);
  encoder(reference, w, shape, pixels.view(), kept);
  for (const Index p : {0, 1}) {
    EncoderScratch<Reference> s(shape);
    encoder(reference, w, shape, pixels.view().row(p), s, NoTap());
    EXPECT_TRUE(close(kept.normed.view().rows(9 * p, 9 * p + 9), s.normed.view(), kExact));
  }
}

// Nothing of the tower, or one tensor.
TEST(EncoderBackward, LearnsWhatItIsGivenRoomFor) {
  const auto shape = small_shape();
  Slopes slopes;
  const auto w = load_encoder<HostWeights<float>>(shape, slopes);
  auto sums = slopes.sums();
  const auto all = load_encoder<HostGradients>(shape, sums);
  siglip::EncoderWeights<HostGradients> none, one;
  none.blocks.resize(2);
  one.blocks.resize(2);
  Buffer<float, 2> weight({12, 12});
  one.blocks[1].self_attention.k.weight = weight.view();
  EXPECT_TRUE(is_learned(all));
  EXPECT_FALSE(is_learned(none));
  EXPECT_TRUE(is_learned(one));

  const auto pixels = two_pictures();
  const auto dy = random<float, 2>({18, 12}, 2);
  siglip::EncoderActivations<Reference> kept(shape, 2, Recompute::none);
  encoder(reference, w, shape, pixels.view(), kept);
  encoder_backward(reference, w, shape, pixels.view(), kept, dy.view(), all);
  encoder_backward(reference, w, shape, pixels.view(), kept, dy.view(), one);
  EXPECT_TRUE(close(weight.view(), all.blocks[1].self_attention.k.weight, kExact));
}

}  // namespace
}  // namespace paligemma
