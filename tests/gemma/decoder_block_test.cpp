#include "gemma/decoder_block.h"

#include <map>

#include "paligemma/weights.h"
#include "tests/support/gemma.h"
#include "tests/support/slopes.h"

namespace paligemma {
namespace {

using namespace test;

constexpr Index T = 9, kPrefix = 5;

// What the four taps of layer 0 show, by name, and the residual stream afterwards as "x".
template <class Weight>
std::map<std::string, Buffer<float, 2>> taps_of(const RandomDecoder<Weight>& decoder,
                                                View<const float, 2> x) {
  Workspace space(decoder.shape, T);
  auto& s = space.scratch;
  copy(reference, x, s.x.view().rows(0, T));

  std::map<std::string, Buffer<float, 2>> taps;
  const auto keep = [&](const std::string& name, View<const float, 2> rows) {
    Buffer<float, 2> kept(rows.shape());
    copy(reference, rows, kept.view());
    EXPECT_TRUE(taps.emplace(name, std::move(kept)).second) << name << " is handed out twice";
  };
  decoder_block(reference, decoder.weights.blocks[0], decoder.shape, 0, space.tokens(0, T, kPrefix),
                s, space.cache, Tap(keep));
  keep("x", s.x.view().rows(0, T));
  return taps;
}

template <class Weight>
void expect_the_definition(const gemma::DecoderShape& shape) {
  const RandomDecoder<Weight> decoder(shape);
  const auto x = random<float, 2>({T, shape.width}, 1);
  const auto& w = decoder.weights.blocks[0];
  const auto expected = decoder_block_again(w, shape, 0, kPrefix, table_of<double>(x.view()));
  const auto in_float = decoder_block_again(w, shape, 0, kPrefix, table_of<float>(x.view()));
  const auto taps = taps_of(decoder, x.view());
  const auto expect = [&](const char* name, const Table<double>& e, const Table<float>& f) {
    EXPECT_TRUE(close(taps.at(name).view(), floats_of(e).view(), tolerance_of(f, e))) << name;
  };
  EXPECT_EQ(taps.size(), 5u);
  expect("attn", expected.attn, in_float.attn);
  expect("+attn", expected.plus_attn, in_float.plus_attn);
  expect("mlp", expected.mlp, in_float.mlp);
  expect("+mlp", expected.plus_mlp, in_float.plus_mlp);
  expect("x", expected.plus_mlp, in_float.plus_mlp);
}

template <class Weight>
class DecoderBlockOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(DecoderBlockOf, Weights);

TYPED_TEST(DecoderBlockOf, MatchesTheDefinitionOfGemma1) {
  expect_the_definition<TypeParam>(small_gemma1());
}

// Four norms, two caps, a window of four, two KV heads, a scale of its own.
TYPED_TEST(DecoderBlockOf, MatchesTheDefinitionOfGemma2) {
  expect_the_definition<TypeParam>(small_gemma2());
}

// Gains that are stored whole, as in Llama.
TYPED_TEST(DecoderBlockOf, MatchesTheDefinitionWithoutAnOffsetOfTheNorms) {
  auto shape = small_gemma2();
  shape.norm_offset = 0;
  expect_the_definition<TypeParam>(shape);
}

// A block whose layer is not the first uses its own window and its own part of the cache.
TEST(DecoderBlock, TakesTheWindowOfItsLayer) {
  for (Index layer : {0, 1, 2}) {
    const RandomDecoder<float> decoder(small_gemma2());
    const auto x = random<float, 2>({T, decoder.shape.width}, 1);
    Workspace space(decoder.shape, T);
    auto& s = space.scratch;
    copy(reference, x.view(), s.x.view().rows(0, T));
    const auto& w = decoder.weights.blocks[0];
    decoder_block(reference, w, decoder.shape, layer, space.tokens(0, T, kPrefix), s, space.cache,
                  NoTap());
    const auto expected =
        decoder_block_again(w, decoder.shape, layer, kPrefix, table_of<double>(x.view()));
    const auto in_float =
        decoder_block_again(w, decoder.shape, layer, kPrefix, table_of<float>(x.view()));
    EXPECT_TRUE(close(s.x.view().rows(0, T), floats_of(expected.plus_mlp).view(),
                      tolerance_of(in_float.plus_mlp, expected.plus_mlp)))
        << "layer " << layer;
    for (Index other = 0; other < 3; ++other) {
      EXPECT_EQ(std::isnan(space.cache.keys(space.sequence, other)(0, 0, 0)), other != layer);
    }
  }
}

// A gain of zero is stored as -1. It silences what the norm hands on, and so shows where it stands.
std::map<std::string, Buffer<float, 2>> with_silent_norm(
    const gemma::DecoderShape& shape,
    View<const float, 1> gemma::DecoderBlockWeights<HostWeights<float>>::*norm) {
  RandomDecoder<float> decoder(shape);
  Buffer<float, 1> minus_one({shape.width});
  std::fill_n(minus_one.view().data(), shape.width, -1.0f);
  decoder.weights.blocks[0].*norm = minus_one.view();
  return taps_of(decoder, random<float, 2>({T, shape.width}, 1).view());
}

using BlockWeights = gemma::DecoderBlockWeights<HostWeights<float>>;

// In a checkpoint of Gemma 1 this norm is called post_attention_layernorm.
TEST(DecoderBlock, PreMlpNormStandsBeforeTheMlp) {
  for (const auto& shape : {small_gemma1(), small_gemma2()}) {
    const auto taps = with_silent_norm(shape, &BlockWeights::pre_mlp_norm);
    const Buffer<float, 2> zeros({T, shape.width});
    EXPECT_FALSE(close(taps.at("attn").view(), zeros.view(), kExact));
    EXPECT_TRUE(close(taps.at("mlp").view(), zeros.view(), kExact));
    EXPECT_TRUE(close(taps.at("+mlp").view(), taps.at("+attn").view(), kExact));
  }
}

// In a checkpoint of Gemma 2 this norm, and no other, is called post_attention_layernorm.
TEST(DecoderBlock, PostAttentionNormStandsBehindAttentionInGemma2) {
  const auto taps = with_silent_norm(small_gemma2(), &BlockWeights::post_attention_norm);
  const auto x = random<float, 2>({T, 20}, 1);
  EXPECT_TRUE(close(taps.at("+attn").view(), x.view(), kExact));
  EXPECT_FALSE(close(taps.at("+mlp").view(), x.view(), kExact));
}

TEST(DecoderBlock, PostMlpNormStandsBehindTheMlpInGemma2) {
  const auto taps = with_silent_norm(small_gemma2(), &BlockWeights::post_mlp_norm);
  EXPECT_TRUE(close(taps.at("+mlp").view(), taps.at("+attn").view(), kExact));
}

TEST(DecoderBlock, PreAttentionNormStandsBeforeAttention) {
  for (const auto& shape : {small_gemma1(), small_gemma2()}) {
    const auto taps = with_silent_norm(shape, &BlockWeights::pre_attention_norm);
    const Buffer<float, 2> zeros({T, shape.width});
    EXPECT_TRUE(close(taps.at("attn").view(), zeros.view(), kExact));
    EXPECT_FALSE(close(taps.at("mlp").view(), zeros.view(), kExact));
  }
}

// Gemma 2's weights in Gemma 1's graph: the shapes fit, nothing throws, and the numbers are wrong.
TEST(DecoderBlock, WithoutItsPostNormsGemma2RunsAndIsWrong) {
  RandomDecoder<float> decoder(small_gemma2());
  const auto x = random<float, 2>({T, decoder.shape.width}, 1);
  const auto right = taps_of(decoder, x.view());
  decoder.shape.norms = gemma::Norms::pre;
  const auto wrong = taps_of(decoder, x.view());
  EXPECT_FALSE(close(wrong.at("+attn").view(), right.at("+attn").view(), twice(float_sum_of(T))));
}

// The post norms lie within the branch, not across the stream: what is added is what the tap shows.
TEST(DecoderBlock, AddsWhatTheTapsShow) {
  for (const auto& shape : {small_gemma1(), small_gemma2()}) {
    const RandomDecoder<float> decoder(shape);
    const auto x = random<float, 2>({T, shape.width}, 1);
    const auto taps = taps_of(decoder, x.view());
    for (Index i = 0; i < x.view().count(); ++i) {
      const auto at = [&](const char* name) { return taps.at(name).view().data()[i]; };
      EXPECT_EQ(at("+attn"), x.view().data()[i] + at("attn"));
      EXPECT_EQ(at("+mlp"), at("+attn") + at("mlp"));
    }
  }
}

TEST(DecoderBlock, NeedsTheNormsOfItsKind) {
  RandomDecoder<float> decoder(small_gemma1());
  decoder.shape.norms = gemma::Norms::pre_and_post;  // the post norms are empty views
  EXPECT_THROW(taps_of(decoder, random<float, 2>({T, 20}, 1).view()), ContractError);
}

// ---- backward --------------------------------------------------------------------------------------

// What the MLP makes of the stream behind attention.
Buffer<float, 2> plus_mlp_of(const RandomDecoder<float>& decoder, View<const float, 2> x) {
  const gemma::DecoderShape& shape = decoder.shape;
  const auto& w = decoder.weights.blocks[0];
  const RmsNormRule rule{shape.norm_eps, shape.norm_offset};
  Buffer<float, 2> normed(x.shape()), y(x.shape());
  gemma::GegluMlpActivations<Reference> kept(shape, x.size(0));
  rms_norm(reference, x, w.pre_mlp_norm, rule, normed.view());
  geglu_mlp(reference, w.mlp, shape, std::as_const(normed).view(), kept, y.view());
  if (shape.norms == gemma::Norms::pre_and_post) {
    rms_norm(reference, y.view(), w.post_mlp_norm, rule, y.view());
  }
  residual_add(reference, x, y.view());
  return y;
}

// Two sequences, the second of them all prefix.
const gemma::Segment kSequences[] = {{SequenceId{}, 0, 6, 3}, {SequenceId{}, 0, 4, 4}};
constexpr Index kRows = 10;

void expect_the_slope_of_the_way_there(const Dropout& of_weights, const Dropout& of_branch,
                                       const std::vector<Index>& asked = {}) {
  const Index B = asked.empty() ? kRows : std::ssize(asked);
  for (const gemma::DecoderShape& shape : {small_gemma1(), small_gemma2()}) {
    Slopes slopes;
    const auto w = load_decoder<HostWeights<float>>(shape, true, slopes).blocks[0];
    const auto x = slopes.input("x", kRows, shape.width);
    auto sums = slopes.sums();
    const auto dw = load_decoder<HostGradients>(shape, true, sums).blocks[0];
    const auto dy = random<float, 2>({B, shape.width}, 2);
    gemma::DecoderBlockActivations<Reference> kept(shape, kRows);
    gemma::DecoderBlockGradients<Reference> d(shape, kRows);
    kept.attention.dropout = of_weights;
    kept.dropout = of_branch;
    const gemma::Step step{std::span(kSequences)};
    const auto loss = [&] {
      Buffer<float, 2> y({B, shape.width});
      decoder_block(reference, w, shape, 0, step, x, kept, y.view(), asked);
      return loss_of(dy.view(), std::as_const(y).view());
    };
    loss();
    Buffer<float, 2> other({kRows, shape.width});  // what an earlier call left in d does not matter
    copy(reference, dy.view(), other.view().rows(0, B));
    decoder_block_backward(reference, w, shape, step, x, kept, d, other.view(),
                           gemma::DecoderBlockWeights<HostGradients>(), asked);
    const auto dx = slopes.gradient("x");
    copy(reference, dy.view(), dx.rows(0, B));
    decoder_block_backward(reference, w, shape, step, x, kept, d, dx, dw, asked);
    slopes.expect_of(loss);
  }
}

TEST(DecoderBlockBackward, IsTheSlopeOfTheWayThere) { expect_the_slope_of_the_way_there({}, {}); }

// In any order, and more than once.
TEST(DecoderBlockBackward, IsTheSlopeOfTheWayThereToTheRowsThatAreAskedFor) {
  expect_the_slope_of_the_way_there({}, {}, {9, 0, 4, 9});
}

TEST(DecoderBlockBackward, IsTheSlopeOfTheWayThereWithDropout) {
  expect_the_slope_of_the_way_there({}, {.rate = 0.4f, .seed = 2});
  expect_the_slope_of_the_way_there({.rate = 0.3f, .seed = 1}, {.rate = 0.4f, .seed = 2});
}

// Behind the norm that Gemma 2 has there; of the MLP nothing is left out.
TEST(DecoderBlockBackward, DropoutIsOfWhatAttentionAdds) {
  for (const gemma::DecoderShape& shape : {small_gemma1(), small_gemma2()}) {
    const RandomDecoder<float> decoder(shape);
    const auto x = random<float, 2>({T, shape.width}, 1);
    const auto taps = taps_of(decoder, x.view());
    gemma::DecoderBlockActivations<Reference> kept(shape, T);
    kept.dropout = {.rate = 0.4f, .seed = 2, .number = 3, .place = 4};
    Buffer<float, 2> y(x.view().shape());
    decoder_block(reference, decoder.weights.blocks[0], shape, 0,
                  gemma::Segment{SequenceId{}, 0, T, kPrefix}, x.view(), kept, y.view());
    Buffer<float, 2> expected({T, shape.width});
    copy(reference, taps.at("attn").view(), expected.view());
    dropout(reference, kept.dropout, expected.view());
    residual_add(reference, x.view(), expected.view());
    EXPECT_TRUE(close(kept.x_attn.view(), expected.view(), kExact));
    EXPECT_TRUE(
        close(y.view(), plus_mlp_of(decoder, std::as_const(expected).view()).view(), kExact));
  }
}

TEST(DecoderBlockBackward, OnTheWayThereItSaysTheSame) {
  for (const gemma::DecoderShape& shape : {small_gemma1(), small_gemma2()}) {
    const RandomDecoder<float> decoder(shape);
    const auto x = random<float, 2>({T, shape.width}, 1);
    Buffer<float, 2> y(x.view().shape());
    gemma::DecoderBlockActivations<Reference> kept(shape, T);
    decoder_block(reference, decoder.weights.blocks[0], shape, 0,
                  gemma::Segment{SequenceId{}, 0, T, kPrefix}, x.view(), kept, y.view());
    EXPECT_TRUE(close(y.view(), taps_of(decoder, x.view()).at("x").view(), kExact));
  }
}

}  // namespace
}  // namespace paligemma
