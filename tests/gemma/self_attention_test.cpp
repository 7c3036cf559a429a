#include "gemma/self_attention.h"

#include "paligemma/weights.h"
#include "tests/support/gemma.h"
#include "tests/support/slopes.h"

namespace paligemma {
namespace {

using namespace test;

// Attention of layer 0 over all rows of x, taken in steps that begin at `firsts`.
template <class Weight>
Buffer<float, 2> attention_of(const RandomDecoder<Weight>& decoder, View<const float, 2> x,
                              Index prefix, std::vector<Index> firsts = {0}) {
  const Index T = x.size(0);
  Workspace space(decoder.shape, T);
  auto& s = space.scratch;
  Buffer<float, 2> y({T, decoder.shape.width});
  firsts.push_back(T);
  for (std::size_t i = 0; i + 1 < firsts.size(); ++i) {
    const Index first = firsts[i], end = firsts[i + 1];
    copy(reference, x.rows(first, end), s.normed.view().rows(0, end - first));
    self_attention(reference, decoder.weights.blocks[0].self_attention, decoder.shape, 0,
                   space.tokens(first, end - first, prefix), s, space.cache);
    copy(reference, s.branch.view().rows(0, end - first), y.view().rows(first, end));
  }
  return y;
}

template <class Weight>
::testing::AssertionResult matches(const RandomDecoder<Weight>& decoder, View<const float, 2> x,
                                   Index prefix, View<const float, 2> actual) {
  const auto& w = decoder.weights.blocks[0].self_attention;
  const auto expected = self_attention_again(w, decoder.shape, 0, prefix, table_of<double>(x));
  const auto in_float = self_attention_again(w, decoder.shape, 0, prefix, table_of<float>(x));
  const auto rounded = floats_of(expected);
  return close(actual, View<const float, 2>(rounded.view()), tolerance_of(in_float, expected));
}

// What may be asked of one layer. N = 4 heads of H = 6 in a width of 20.
struct Case {
  const char* name;
  Index kv_heads;
  Index window;
  float cap;
};

const Case kCases[] = {
    {"one KV head", 1, kNoWindow, kNoSoftCap},
    {"two KV heads", 2, kNoWindow, kNoSoftCap},
    {"a KV head each", 4, kNoWindow, kNoSoftCap},
    {"a window that bites", 1, 3, kNoSoftCap},
    {"a window of one", 2, 1, kNoSoftCap},
    {"a window just too wide to bite", 2, 9, kNoSoftCap},
    {"a cap that bites", 2, kNoWindow, 0.5f},
    {"all of Gemma 2", 2, 3, 0.5f},
};

gemma::DecoderShape shape_of(const Case& c) {
  gemma::DecoderShape shape = small_gemma1(c.kv_heads);
  shape.window[0] = c.window;
  shape.attention_soft_cap = c.cap;
  return shape;
}

template <class Weight>
class GemmaSelfAttentionOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(GemmaSelfAttentionOf, Weights);

TYPED_TEST(GemmaSelfAttentionOf, MatchesTheDefinition) {
  for (const Case& c : kCases) {
    const RandomDecoder<TypeParam> decoder(shape_of(c));
    const auto x = random<float, 2>({9, 20}, 1);
    for (Index prefix : {1, 5, 9}) {
      const auto y = attention_of(decoder, x.view(), prefix);
      EXPECT_TRUE(matches(decoder, x.view(), prefix, y.view()))
          << c.name << ", prefix = " << prefix;
    }
  }
}

// The prefix in one step, the rest one by one, through keys and values that the cache kept.
TEST(GemmaSelfAttention, DecodingMatchesTheDefinition) {
  for (const Case& c : kCases) {
    const RandomDecoder<float> decoder(shape_of(c));
    const auto x = random<float, 2>({9, 20}, 1);
    const auto y = attention_of(decoder, x.view(), 5, {0, 5, 6, 7, 8});
    EXPECT_TRUE(matches(decoder, x.view(), 5, y.view())) << c.name;
  }
}

// How the rows after the prefix are cut into steps changes no bit.
TEST(GemmaSelfAttention, StepsChangeNoBit) {
  const RandomDecoder<float> decoder(shape_of(kCases[7]));
  const auto x = random<float, 2>({9, 20}, 1);
  const auto at_once = attention_of(decoder, x.view(), 5);
  const auto in_steps = attention_of(decoder, x.view(), 5, {0, 5, 7, 8});
  EXPECT_TRUE(close(in_steps.view(), at_once.view(), kExact));
}

// Whether row `changed` of the input has a say in row `seen` of the output.
bool sees(Index seen, Index changed, Index prefix, Index window) {
  const RandomDecoder<float> decoder(shape_of({"", 1, window, kNoSoftCap}));
  auto x = random<float, 2>({9, 20}, 1);
  const auto before = attention_of(decoder, x.view(), prefix);
  for (Index d = 0; d < 20; ++d) x.view()(changed, d) += 1;
  const auto after = attention_of(decoder, x.view(), prefix);
  return !close(after.view().rows(seen, seen + 1), before.view().rows(seen, seen + 1), kExact);
}

TEST(GemmaSelfAttention, ThePrefixSeesItsLastToken) {
  EXPECT_TRUE(sees(0, 4, 5, kNoWindow));
  EXPECT_FALSE(sees(0, 5, 5, kNoWindow));
}

TEST(GemmaSelfAttention, TheAnswerSeesOnlyThePast) {
  EXPECT_TRUE(sees(7, 0, 5, kNoWindow));
  EXPECT_TRUE(sees(7, 7, 5, kNoWindow));
  EXPECT_FALSE(sees(7, 8, 5, kNoWindow));
}

TEST(GemmaSelfAttention, TheWindowHoldsBackTheAnswerAndNotThePrefix) {
  EXPECT_TRUE(sees(7, 5, 5, 3));
  EXPECT_FALSE(sees(7, 4, 5, 3));
  EXPECT_TRUE(sees(4, 0, 5, 3));
}

// Reading the picture without its prompt, then the prompt, would need keys that do not exist yet.
TEST(GemmaSelfAttention, RefusesAPrefixInPieces) {
  const RandomDecoder<float> decoder(small_gemma1());
  const auto x = random<float, 2>({9, 20}, 1);
  EXPECT_THROW(attention_of(decoder, x.view(), 5, {0, 3}), ContractError);
}

TEST(GemmaSelfAttention, RefusesMoreThanTheCacheHolds) {
  const RandomDecoder<float> decoder(small_gemma1());
  Workspace space(decoder.shape, 4, 0);
  EXPECT_THROW(self_attention(reference, decoder.weights.blocks[0].self_attention, decoder.shape, 0,
                              space.tokens(2, 3, 2), space.scratch, space.cache),
               ContractError);
}

// RoPE makes scores depend on distances: the same three rows four positions later, all that a
// window of three lets in, give the same answer up to the rounding of the angles.
TEST(GemmaSelfAttention, DependsOnDistancesOnly) {
  const RandomDecoder<float> decoder(shape_of({"", 2, 3, kNoSoftCap}));
  auto x = random<float, 2>({9, 20}, 1);
  copy(reference, x.view().rows(2, 5), x.view().rows(6, 9));
  const auto y = attention_of(decoder, x.view(), 1);
  const auto& w = decoder.weights.blocks[0].self_attention;
  const Tolerance rounding =
      tolerance_of(self_attention_again(w, decoder.shape, 0, 1, table_of<float>(x.view())),
                   self_attention_again(w, decoder.shape, 0, 1, table_of<double>(x.view())));
  EXPECT_TRUE(close(y.view().rows(8, 9), y.view().rows(4, 5), twice(rounding)));
  EXPECT_FALSE(close(y.view().rows(7, 8), y.view().rows(3, 4), twice(rounding)));  // sees row 5
}

TEST(GemmaSelfAttention, UsesTheScaleItIsGiven) {
  gemma::DecoderShape shape = small_gemma1();
  // query_pre_attn_scalar is 144 where H is 128, as in the largest Gemma 2.
  shape.query_scale = 1.0f / 12;
  const RandomDecoder<float> decoder(shape);
  const auto x = random<float, 2>({9, 20}, 1);
  EXPECT_TRUE(matches(decoder, x.view(), 5, attention_of(decoder, x.view(), 5).view()));
}

// ---- backward --------------------------------------------------------------------------------------

// Two sequences, the second of them all prefix.
const gemma::Segment kSequences[] = {{SequenceId{}, 0, 6, 3}, {SequenceId{}, 0, 4, 4}};
constexpr Index kRows = 10;

void expect_the_slope_of_the_way_there(const Dropout& dropout) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const gemma::DecoderShape shape = shape_of(c);
    Slopes slopes;
    const auto w = load_decoder<HostWeights<float>>(shape, true, slopes).blocks[0].self_attention;
    const auto x = slopes.input("x", kRows, shape.width);
    auto sums = slopes.sums();
    const auto dw = load_decoder<HostGradients>(shape, true, sums).blocks[0].self_attention;
    const auto dy = random<float, 2>({kRows, shape.width}, 2);
    gemma::SelfAttentionActivations<Reference> kept(shape, kRows), d(shape, kRows);
    kept.dropout = dropout;
    const gemma::Step step{std::span(kSequences)};
    const auto loss = [&] {
      Buffer<float, 2> y({kRows, shape.width});
      self_attention(reference, w, shape, 0, step, x, kept, y.view());
      return loss_of(dy.view(), std::as_const(y).view());
    };
    loss();
    Buffer<float, 2> other({kRows, shape.width});  // what an earlier call left in d does not matter
    self_attention_backward(reference, w, shape, step, x, kept, dy.view(), d, other.view(),
                            gemma::SelfAttentionWeights<HostGradients>());
    self_attention_backward(reference, w, shape, step, x, kept, dy.view(), d, slopes.gradient("x"),
                            dw);
    slopes.expect_of(loss);
  }
}

TEST(SelfAttentionBackward, IsTheSlopeOfTheWayThere) { expect_the_slope_of_the_way_there({}); }

TEST(SelfAttentionBackward, IsTheSlopeOfTheWayThereWithDropout) {
  expect_the_slope_of_the_way_there({.rate = 0.3f, .seed = 1, .number = 2, .place = 3});
}

// Two sequences of the same rows say the same without dropout, and draw weights of their own with it.
TEST(SelfAttentionBackward, DropoutDrawsAnewForEachSequence) {
  const gemma::Segment twice_the_same[] = {{SequenceId{}, 0, 5, 3}, {SequenceId{}, 0, 5, 3}};
  for (const float rate : {0.0f, 0.3f}) {
    const RandomDecoder<float> decoder(small_gemma1());
    const Index D = decoder.shape.width;
    const auto some = random<float, 2>({5, D}, 1);
    Buffer<float, 2> x({10, D}), y({10, D});
    copy(reference, some.view(), x.view().rows(0, 5));
    copy(reference, some.view(), x.view().rows(5, 10));
    gemma::SelfAttentionActivations<Reference> kept(decoder.shape, 10);
    kept.dropout = {.rate = rate, .seed = 4};
    self_attention(reference, decoder.weights.blocks[0].self_attention, decoder.shape, 0,
                   gemma::Step{std::span(twice_the_same)}, x.view(), kept, y.view());
    EXPECT_EQ(bool(close(y.view().rows(5, 10), y.view().rows(0, 5), kExact)), rate == 0);
  }
}

TEST(SelfAttentionBackward, OnTheWayThereItSaysTheSameOfEachSequence) {
  for (const Case& c : kCases) {
    const RandomDecoder<float> decoder(shape_of(c));
    const Index D = decoder.shape.width;
    const auto x = random<float, 2>({kRows, D}, 1);
    Buffer<float, 2> y({kRows, D});
    gemma::SelfAttentionActivations<Reference> kept(decoder.shape, kRows);
    self_attention(reference, decoder.weights.blocks[0].self_attention, decoder.shape, 0,
                   gemma::Step{std::span(kSequences)}, x.view(), kept, y.view());
    EXPECT_TRUE(
        close(y.view().rows(0, 6), attention_of(decoder, x.view().rows(0, 6), 3).view(), kExact));
    EXPECT_TRUE(
        close(y.view().rows(6, 10), attention_of(decoder, x.view().rows(6, 10), 4).view(), kExact));
  }
}

TEST(SelfAttentionBackward, LearnsSequencesFromTheirFirstTokenOn) {
  const RandomDecoder<float> decoder(small_gemma1());
  const auto x = random<float, 2>({2, decoder.shape.width}, 1);
  Buffer<float, 2> y(x.view().shape());
  gemma::SelfAttentionActivations<Reference> kept(decoder.shape, 2);
  const gemma::Segment later{SequenceId{}, 1, 2, 1};
  EXPECT_THROW(self_attention(reference, decoder.weights.blocks[0].self_attention, decoder.shape, 0,
                              later, x.view(), kept, y.view()),
               ContractError);
}

}  // namespace
}  // namespace paligemma
