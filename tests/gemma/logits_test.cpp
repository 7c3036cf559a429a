#include "gemma/logits.h"

#include <array>

#include "gemma/sampler.h"
#include "gemma/token_embedding.h"
#include "tests/support/gemma.h"

namespace paligemma {
namespace {

using namespace test;

gemma::DecoderShape tiny_shape(float cap) {
  gemma::DecoderShape shape = small_gemma1();
  shape.vocabulary = 3;
  shape.width = 2;
  shape.final_soft_cap = cap;
  return shape;
}

// docs/gemma/logits.md, "By hand".
TEST(Logits, WorkedExample) {
  const auto table = rows_of({{3, 0}, {1, 2}, {-1, 1}});
  gemma::DecoderWeights<HostWeights<float>> weights;
  weights.embedding = table.view();
  weights.head = {weights.embedding};

  Workspace space(tiny_shape(kNoSoftCap), 2, 0);
  copy(reference, rows_of({{9, 9}, {2, 4}}).view(), space.scratch.normed.view());
  logits(reference, weights, tiny_shape(kNoSoftCap), std::array{Index{1}}, space.scratch);
  EXPECT_TRUE(close(space.scratch.logits.view(), rows_of({{6, 10, 2}}).view(), kExact));

  logits(reference, weights, tiny_shape(30), std::array{Index{1}}, space.scratch);
  const auto capped = rows_of({{5.9212596, 9.6453822, 1.9970421}});
  EXPECT_TRUE(close(space.scratch.logits.view(), capped.view(), float_operations(6)));
}

template <class Weight>
class LogitsOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(LogitsOf, Weights);

TYPED_TEST(LogitsOf, MatchTheDefinition) {
  for (auto shape : {small_gemma1(), small_gemma2()}) {
    for (Index V : {1, 7, 255, 257, 1856}) {
      shape.vocabulary = V;
      const RandomDecoder<TypeParam> decoder(shape);
      Workspace space(shape, 3);
      auto& s = space.scratch;
      const auto x = random<float, 2>({3, shape.width}, 1);
      copy(reference, x.view(), s.normed.view().rows(0, 3));
      for (Index t : {0, 1, 2}) {
        const auto row = x.view().rows(t, t + 1);
        auto expected = projected(table_of<double>(row), decoder.weights.head.weight);
        auto in_float = projected(table_of<float>(row), decoder.weights.head.weight);
        for (auto& value : expected[0]) value = capped(value, shape.final_soft_cap);
        for (auto& value : in_float[0]) value = capped(value, shape.final_soft_cap);
        logits(reference, decoder.weights, shape, std::array{t}, s);
        EXPECT_TRUE(
            close(s.logits.view(), floats_of(expected).view(), tolerance_of(in_float, expected)))
            << "V = " << V << ", t = " << t;
      }
    }
  }
}

// All rows but the one asked for are NaN.
TEST(Logits, ReadOnlyTheRowAskedFor) {
  const RandomDecoder<float> decoder(small_gemma2());
  Workspace space(decoder.shape, 3);
  auto& s = space.scratch;
  copy(reference, random<float, 2>({1, decoder.shape.width}, 1).view(), s.normed.view().rows(1, 2));
  logits(reference, decoder.weights, decoder.shape, std::array{Index{1}}, s);
  for (Index v = 0; v < decoder.shape.vocabulary; ++v) {
    EXPECT_TRUE(std::isfinite(s.logits.view()(0, v)));
  }
  EXPECT_TRUE(std::isnan(s.x.view()(1, 0)));
}

// The last tokens of three sequences, of which the second is one token long.
TEST(Logits, OfSeveralRowsAreThoseOfEachRow) {
  const RandomDecoder<float> decoder(small_gemma2());
  const auto x = random<float, 2>({6, decoder.shape.width}, 1);
  gemma::DecoderScratch<Reference> s(decoder.shape, 6, 3);
  copy(reference, x.view(), s.normed.view());
  constexpr std::array<Index, 3> kRows{2, 3, 5};
  logits(reference, decoder.weights, decoder.shape, kRows, s);
  for (Index b = 0; b < 3; ++b) {
    Workspace alone(decoder.shape, 6);
    copy(reference, x.view(), alone.scratch.normed.view().rows(0, 6));
    logits(reference, decoder.weights, decoder.shape, std::span(kRows).subspan(b, 1),
           alone.scratch);
    EXPECT_TRUE(close(s.logits.view().rows(b, b + 1), alone.scratch.logits.view(), kExact)) << b;
  }
}

// A row that has been moved away from, or more rows than there is room for.
TEST(Logits, RejectRowsOutOfOrder) {
  const RandomDecoder<float> decoder(small_gemma1());
  gemma::DecoderScratch<Reference> s(decoder.shape, 4, 2);
  const auto run = [&](std::vector<Index> rows) {
    logits(reference, decoder.weights, decoder.shape, rows, s);
  };
  EXPECT_NO_THROW(run({1, 3}));
  EXPECT_THROW(run({3, 0}), ContractError);
  EXPECT_THROW(run({1, 2, 3}), ContractError);
  EXPECT_THROW(run({1, 4}), ContractError);
}

// A row with a one in column 2 reads column 2 of the table: as it stands, without the sqrt(D) that
// the embedding of the same token has.
TEST(Logits, ReadTheTableUnscaled) {
  const RandomDecoder<float> decoder(small_gemma1());
  const auto& shape = decoder.shape;
  Workspace space(shape, 1);
  auto& s = space.scratch;
  std::fill_n(s.normed.view().data(), shape.width, 0.0f);
  s.normed.view()(0, 2) = 1;
  logits(reference, decoder.weights, shape, std::array{Index{0}}, s);
  for (Index v = 0; v < shape.vocabulary; ++v) {
    EXPECT_EQ(s.logits.view()(0, v), decoder.weights.embedding(v, 2));
  }

  const TokenId id = 7;
  Buffer<float, 2> embedded({1, shape.width});
  token_embedding(reference, View<const TokenId, 1>(&id, {1}), decoder.weights.embedding,
                  shape.embedding_scale, embedded.view());
  const Buffer<float, 1> scaled = vector_of({std::sqrt(20.0) * s.logits.view()(0, id)});
  EXPECT_TRUE(close(embedded.view().row(0).rows(2, 3), View<const float, 1>(scaled.view()),
                    float_operations(2)));
}

// A head of its own, where weights are not tied.
TEST(Logits, ReadTheHeadAndNotTheEmbedding) {
  RandomDecoder<float> decoder(small_gemma1());
  Workspace space(decoder.shape, 1);
  auto& s = space.scratch;
  copy(reference, random<float, 2>({1, 20}, 1).view(), s.normed.view().rows(0, 1));
  logits(reference, decoder.weights, decoder.shape, std::array{Index{0}}, s);
  Buffer<float, 2> before(s.logits.view().shape());
  copy(reference, s.logits.view(), before.view());
  const auto other = random<float, 2>({50, 20}, 99);
  decoder.weights.embedding = other.view();
  logits(reference, decoder.weights, decoder.shape, std::array{Index{0}}, s);
  EXPECT_TRUE(close(s.logits.view(), before.view(), kExact));
}

// The cap keeps the order, so greedy decoding gives the same token; the probabilities change.
TEST(Logits, TheCapLeavesGreedyAloneAndChangesProbabilities) {
  const RandomDecoder<float> decoder(small_gemma2());
  gemma::DecoderShape uncapped = decoder.shape;
  uncapped.final_soft_cap = kNoSoftCap;
  Workspace space(decoder.shape, 1);
  auto& s = space.scratch;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    copy(reference, random<float, 2>({1, 20}, seed).view(), s.normed.view().rows(0, 1));
    logits(reference, decoder.weights, uncapped, std::array{Index{0}}, s);
    const TokenId id = sample(reference, s.logits.view().row(0), {}, 0);
    const float sure = log_probability(reference, s.logits.view().row(0), id);
    logits(reference, decoder.weights, decoder.shape, std::array{Index{0}}, s);
    EXPECT_EQ(sample(reference, s.logits.view().row(0), {}, 0), id);
    EXPECT_LT(log_probability(reference, s.logits.view().row(0), id), sure);
  }
}

TEST(Logits, RejectAHeadOfAnotherVocabulary) {
  RandomDecoder<float> decoder(small_gemma1());
  Workspace space(decoder.shape, 1);
  std::fill_n(space.scratch.normed.view().data(), 20, 1.0f);
  const auto other = random<float, 2>({49, 20}, 1);
  decoder.weights.head = {other.view()};
  EXPECT_THROW(
      logits(reference, decoder.weights, decoder.shape, std::array{Index{0}}, space.scratch),
      ContractError);
}

}  // namespace
}  // namespace paligemma
