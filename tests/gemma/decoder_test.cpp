#include "gemma/decoder.h"

#include <set>

#include "paligemma/weights.h"
#include "tests/support/gemma.h"
#include "tests/support/sequences.h"
#include "tests/support/slopes.h"

namespace paligemma {
namespace {

using namespace test;

constexpr Index T = 9;

// The rows of scratch.x to scratch.normed.
template <class Weight>
void decoder_step(const RandomDecoder<Weight>& decoder, gemma::Step step, Workspace& space) {
  gemma::decoder(reference, decoder.weights, decoder.shape, step, space.scratch, space.cache,
                 NoTap());
}

// The rows ready for the head, computed in steps that begin at `firsts`.
template <class Weight>
Buffer<float, 2> rows_of_decoder(const RandomDecoder<Weight>& decoder, View<const float, 2> x,
                                 Index prefix, std::vector<Index> firsts = {0}) {
  Workspace space(decoder.shape, x.size(0));
  auto& s = space.scratch;
  Buffer<float, 2> y(x.shape());
  firsts.push_back(x.size(0));
  for (std::size_t i = 0; i + 1 < firsts.size(); ++i) {
    const Index first = firsts[i], end = firsts[i + 1];
    copy(reference, x.rows(first, end), s.x.view().rows(0, end - first));
    decoder_step(decoder, space.tokens(first, end - first, prefix), space);
    copy(reference, s.normed.view().rows(0, end - first), y.view().rows(first, end));
  }
  return y;
}

template <class Weight>
void expect_the_definition(const gemma::DecoderShape& shape) {
  const RandomDecoder<Weight> decoder(shape);
  const auto x = random<float, 2>({T, shape.width}, 1);
  for (Index prefix : {1, 5, 9}) {
    const auto expected = decoder_again(decoder.weights, shape, prefix, table_of<double>(x.view()));
    const auto in_float = decoder_again(decoder.weights, shape, prefix, table_of<float>(x.view()));
    EXPECT_TRUE(close(rows_of_decoder(decoder, x.view(), prefix).view(), floats_of(expected).view(),
                      tolerance_of(in_float, expected)))
        << "prefix = " << prefix;
  }
}

template <class Weight>
class DecoderOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(DecoderOf, Weights);

TYPED_TEST(DecoderOf, MatchesTheDefinitionOfGemma1) {
  for (Index K : {1, 2, 4}) expect_the_definition<TypeParam>(small_gemma1(K));
}

TYPED_TEST(DecoderOf, MatchesTheDefinitionOfGemma2) {
  for (Index K : {1, 2}) expect_the_definition<TypeParam>(small_gemma2(K));
}

TYPED_TEST(DecoderOf, MatchesTheDefinitionWithoutAnOffsetOfTheNorms) {
  auto shape = small_gemma1();
  shape.norm_offset = 0;
  expect_the_definition<TypeParam>(shape);
}

// With a prefix of one token there is nothing to see ahead: reading all at once, or token by token
// through the cache, adds the same numbers in the same order.
TEST(Decoder, TokenByTokenIsTheSameAsAllAtOnce) {
  for (const auto& shape : {small_gemma1(), small_gemma2()}) {
    const RandomDecoder<float> decoder(shape);
    const auto x = random<float, 2>({T, shape.width}, 1);
    const auto at_once = rows_of_decoder(decoder, x.view(), 1);
    const auto one_by_one = rows_of_decoder(decoder, x.view(), 1, {0, 1, 2, 3, 4, 5, 6, 7, 8});
    EXPECT_TRUE(close(one_by_one.view(), at_once.view(), kExact));
  }
}

// The prefix at once, then the answer token by token or in pieces.
TEST(Decoder, PrefillThenDecodeIsTheSameAsAllAtOnce) {
  for (const auto& shape : {small_gemma1(), small_gemma2()}) {
    const RandomDecoder<float> decoder(shape);
    const auto x = random<float, 2>({T, shape.width}, 1);
    const auto at_once = rows_of_decoder(decoder, x.view(), 5);
    EXPECT_TRUE(close(rows_of_decoder(decoder, x.view(), 5, {0, 5, 6, 7, 8}).view(), at_once.view(),
                      kExact));
    EXPECT_TRUE(
        close(rows_of_decoder(decoder, x.view(), 5, {0, 6, 8}).view(), at_once.view(), kExact));
  }
}

// Through the layers, every row of the prefix depends on every other; the answer's rows do not
// reach back.
TEST(Decoder, ThePrefixIsNotCausal) {
  const RandomDecoder<float> decoder(small_gemma1());
  auto x = random<float, 2>({T, 20}, 1);
  const auto before = rows_of_decoder(decoder, x.view(), 5);
  x.view()(4, 0) += 1;  // the last token of the prompt
  const auto after = rows_of_decoder(decoder, x.view(), 5);
  for (Index t = 0; t < T; ++t) {
    EXPECT_FALSE(close(after.view().rows(t, t + 1), before.view().rows(t, t + 1), kExact));
  }
  x.view()(7, 0) += 1;  // a token of the answer
  const auto later = rows_of_decoder(decoder, x.view(), 5);
  for (Index t = 0; t < T; ++t) {
    EXPECT_EQ(bool(close(later.view().rows(t, t + 1), after.view().rows(t, t + 1), kExact)), t < 7);
  }
}

TEST(Decoder, AStepContinuesWhereTheCacheEnds) {
  const RandomDecoder<float> decoder(small_gemma1());
  const auto x = random<float, 2>({T, 20}, 1);
  Workspace space(decoder.shape, T);
  copy(reference, x.view(), space.scratch.x.view().rows(0, T));
  EXPECT_THROW(decoder_step(decoder, space.tokens(1, 1, 1), space), ContractError);  // a hole
  decoder_step(decoder, space.tokens(0, 5, 5), space);
  EXPECT_EQ(space.cache.length(space.sequence), 5);
  EXPECT_THROW(decoder_step(decoder, space.tokens(4, 1, 5), space),
               ContractError);  // the last one again
  EXPECT_THROW(decoder_step(decoder, space.tokens(6, 1, 5), space), ContractError);
  EXPECT_EQ(space.cache.length(space.sequence), 5);
  decoder_step(decoder, space.tokens(5, 1, 5), space);
  EXPECT_EQ(space.cache.length(space.sequence), 6);
}

// What one sequence holds makes no difference to what is computed beside it.
TEST(Decoder, SeveralSequencesAtOnceAreAsEachAlone) {
  for (const auto& shape : {small_gemma1(), small_gemma2()}) {
    const RandomDecoder<float> decoder(shape);
    const auto x = three_sequences(shape.width);
    const auto y = decoded_together(reference, decoder.weights, shape, x);
    for (int i = 0; i < 3; ++i) {
      const auto alone = rows_of_decoder(decoder, x[i].view(), kPrefixes[i]);
      EXPECT_TRUE(close(y[i].view(), alone.view(), kExact)) << "sequence " << i;
    }
  }
}

// A state that sees the prefix, and behind it rows that see all of it and one another: a step of two
// segments of one sequence, of which the second's prefix is everything.
TEST(Decoder, TwoSegmentsOfOneSequenceFollowOneAnother) {
  const RandomDecoder<float> decoder(small_gemma1());
  const auto x = random<float, 2>({T, 20}, 1);
  const auto run = [&](View<const float, 2> rows) {
    Workspace space(decoder.shape, T);
    copy(reference, rows, space.scratch.x.view().rows(0, T));
    const gemma::Segment segments[] = {space.tokens(0, 4, 4), space.tokens(4, 5, 9)};
    decoder_step(decoder, gemma::Step(segments), space);
    Buffer<float, 2> y({T, 20});
    copy(reference, space.scratch.normed.view().rows(0, T), y.view());
    return y;
  };
  const auto before = run(x.view());
  for (const Index changed : {0, 8}) {
    auto other = random<float, 2>({T, 20}, 1);
    other.view()(changed, 0) += 1;
    const auto after = run(other.view());
    for (Index t = 0; t < T; ++t) {
      const bool same(close(after.view().rows(t, t + 1), before.view().rows(t, t + 1), kExact));
      EXPECT_EQ(same, changed == 8 && t < 4) << "row " << t;
    }
  }
}

// Two answers to one prefix: neither sees the other's tokens.
TEST(Decoder, AForkGoesOnByItself) {
  const RandomDecoder<float> decoder(small_gemma2());
  const auto one = random<float, 2>({T, 20}, 1);
  auto other = random<float, 2>({T, 20}, 1);
  for (Index i = 5 * 20; i < T * 20; ++i) other.view().data()[i] += 1;
  Workspace space(decoder.shape, T);
  copy(reference, one.view(), space.scratch.x.view().rows(0, T));
  decoder_step(decoder, space.tokens(0, 5, 5), space);
  const SequenceId fork = space.cache.fork(space.sequence);
  for (Index t = 5; t < T; ++t) {
    copy(reference, one.view().rows(t, t + 1), space.scratch.x.view().rows(0, 1));
    copy(reference, other.view().rows(t, t + 1), space.scratch.x.view().rows(1, 2));
    const gemma::Segment segments[] = {space.tokens(t, 1, 5), {fork, t, 1, 5}};
    decoder_step(decoder, gemma::Step(segments), space);
  }
  const auto y = space.scratch.normed.view();
  EXPECT_TRUE(
      close(y.rows(0, 1), rows_of_decoder(decoder, one.view(), 5).view().rows(T - 1, T), kExact));
  EXPECT_TRUE(
      close(y.rows(1, 2), rows_of_decoder(decoder, other.view(), 5).view().rows(T - 1, T), kExact));
}

TEST(Decoder, RefusesAPrefixInPieces) {
  const RandomDecoder<float> decoder(small_gemma1());
  Workspace space(decoder.shape, T);
  std::fill_n(space.scratch.x.view().data(), T * 20, 1.0f);
  EXPECT_THROW(decoder_step(decoder, space.tokens(0, 3, 5), space), ContractError);
  EXPECT_EQ(space.cache.length(space.sequence), 0);
}

TEST(Decoder, ASequenceCutBackToNothingIsAsGoodAsNew) {
  const RandomDecoder<float> decoder(small_gemma2());
  const auto x = random<float, 2>({T, 20}, 1), other = random<float, 2>({T, 20}, 2);
  Workspace space(decoder.shape, T);
  copy(reference, other.view(), space.scratch.x.view().rows(0, T));
  decoder_step(decoder, space.tokens(0, T, T), space);
  space.cache.truncate(space.sequence, 0);
  copy(reference, x.view(), space.scratch.x.view().rows(0, T));
  decoder_step(decoder, space.tokens(0, T, 5), space);
  EXPECT_TRUE(close(space.scratch.normed.view().rows(0, T),
                    rows_of_decoder(decoder, x.view(), 5).view(), kExact));
}

TEST(Decoder, RefusesMoreThanTheCacheHolds) {
  const RandomDecoder<float> decoder(small_gemma1());
  Workspace space(decoder.shape, T, 0);
  std::fill_n(space.scratch.x.view().data(), T * 20, 1.0f);
  decoder_step(decoder, space.tokens(0, T, T), space);
  EXPECT_THROW(decoder_step(decoder, space.tokens(T, 1, T), space), ContractError);
}

TEST(Decoder, NamesItsTaps) {
  const RandomDecoder<float> decoder(small_gemma1());
  Workspace space(decoder.shape, T);
  copy(reference, random<float, 2>({T, 20}, 1).view(), space.scratch.x.view().rows(0, T));
  std::vector<std::string> names;
  const auto listener = [&](const std::string& name, View<const float, 2> rows) {
    EXPECT_EQ(rows.size(0), T);
    names.push_back(name);
  };
  gemma::decoder(reference, decoder.weights, decoder.shape, space.tokens(0, T, T), space.scratch,
                 space.cache, Tap(listener, "llm/"));
  EXPECT_EQ(names,
            (std::vector<std::string>{"llm/embedded", "llm/block00/attn", "llm/block00/+attn",
                                      "llm/block00/mlp", "llm/block00/+mlp", "llm/block01/attn",
                                      "llm/block01/+attn", "llm/block01/mlp", "llm/block01/+mlp",
                                      "llm/block02/attn", "llm/block02/+attn", "llm/block02/mlp",
                                      "llm/block02/+mlp", "llm/final_norm"}));
}

// ---- backward --------------------------------------------------------------------------------------

// Two sequences, the second of them all prefix.
const gemma::Segment kSequences[] = {{SequenceId{}, 0, 6, 3}, {SequenceId{}, 0, 4, 4}};
constexpr Index kRows = 10;

void expect_the_slope_of_the_way_there(const Dropout& dropout,
                                       const std::vector<Index>& asked = {}) {
  for (const gemma::DecoderShape& shape : {small_gemma1(), small_gemma2()}) {
    for (const Recompute recompute : {Recompute::none, Recompute::blocks}) {
      Slopes slopes;
      const auto w = load_decoder<HostWeights<float>>(shape, true, slopes);
      const auto x = slopes.input("x", kRows, shape.width);
      auto sums = slopes.sums();
      const auto dw = load_decoder<HostGradients>(shape, true, sums);
      gemma::DecoderActivations<Reference> kept(shape, kRows, recompute, asked);
      const auto dy = random<float, 2>(kept.normed.view().shape(), 2);
      kept.dropout = dropout;
      const gemma::Step step{std::span(kSequences)};
      const auto loss = [&] {
        copy(reference, x, kept.x[0].view());
        gemma::decoder(reference, w, shape, step, kept);
        return loss_of(dy.view(), std::as_const(kept.normed).view());
      };
      loss();
      decoder_backward(reference, w, shape, step, kept, dy.view(), slopes.gradient("x"), dw);
      // Factors above 1 bend the loss more.
      slopes.expect_of(loss, 4e-3, dropout.rate > 0 ? 0x1p-11f : 0x1p-9f);
    }
  }
}

TEST(DecoderBackward, IsTheSlopeOfTheWayThere) { expect_the_slope_of_the_way_there({}); }

// In any order, and more than once.
TEST(DecoderBackward, IsTheSlopeOfTheWayThereToTheRowsThatAreAskedFor) {
  expect_the_slope_of_the_way_there({}, {9, 0, 4, 9});
}

TEST(DecoderBackward, IsTheSlopeOfTheWayThereWithDropout) {
  expect_the_slope_of_the_way_there({.rate = 0.2f, .seed = 1, .number = 2});
}

// Whether a block has its activations to itself or not.
TEST(DecoderBackward, DropoutHasAPlaceInEachBlockForWeightsAndForTheBranch) {
  const gemma::DecoderShape shape = small_gemma2();
  for (const Recompute recompute : {Recompute::none, Recompute::blocks}) {
    gemma::DecoderActivations<Reference> kept(shape, kRows, recompute);
    kept.dropout = {.rate = 0.2f, .seed = 1, .number = 2};
    std::set<std::uint32_t> places;
    for (Index i = 0; i < shape.layers; ++i) {
      const auto& block = kept.block(i);
      for (const Dropout* dropout : {&block.attention.dropout, &block.dropout}) {
        EXPECT_EQ(dropout->rate, 0.2f);
        EXPECT_EQ(dropout->seed, 1u);
        EXPECT_EQ(dropout->number, 2u);
        places.insert(dropout->place);
      }
    }
    EXPECT_EQ(std::ssize(places), 2 * shape.layers);
  }
}

TEST(DecoderBackward, OnTheWayThereItSaysTheSame) {
  for (const gemma::DecoderShape& shape : {small_gemma1(), small_gemma2()}) {
    const RandomDecoder<float> decoder(shape);
    const auto x = random<float, 2>({T, shape.width}, 1);
    gemma::DecoderActivations<Reference> kept(shape, T, Recompute::blocks);
    copy(reference, x.view(), kept.x[0].view());
    gemma::decoder(reference, decoder.weights, shape, gemma::Segment{SequenceId{}, 0, T, 5}, kept);
    const auto all = rows_of_decoder(decoder, x.view(), 5);
    EXPECT_TRUE(close(kept.normed.view(), all.view(), kExact));

    gemma::DecoderActivations<Reference> some(shape, T, Recompute::none, {5, 1});
    copy(reference, x.view(), some.x[0].view());
    gemma::decoder(reference, decoder.weights, shape, gemma::Segment{SequenceId{}, 0, T, 5}, some);
    EXPECT_TRUE(close(some.normed.view().rows(0, 1), all.view().rows(5, 6), kExact));
    EXPECT_TRUE(close(some.normed.view().rows(1, 2), all.view().rows(1, 2), kExact));
  }
}

}  // namespace
}  // namespace paligemma
