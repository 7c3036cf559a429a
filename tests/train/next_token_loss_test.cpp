#include "train/next_token_loss.h"

#include <cmath>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/gemma.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

constexpr Index kRows = 7;
constexpr float kSmoothing = 0.1f;

// One does not count.
NextTokens seven() {
  return {{4, 0, 4, 8, 2, 1, 4}, {0, 49, 7, 7, 21, 3, 12}, {1, 0.5f, 2, 0, 1, 0.25f, 1}};
}

struct Result {
  double loss = 0;
  Buffer<float, 2> dnormed, dhead;

  explicit Result(const gemma::DecoderShape& shape)
      : dnormed(random<float, 2>({kRows, shape.width}, 2)),
        dhead(random<float, 2>({shape.vocabulary, shape.width}, 3)) {}
};

Result result(const RandomDecoder<float>& decoder, View<const float, 2> normed,
              const NextTokens& next, Index at_once = 64) {
  Result y(decoder.shape);
  y.loss = next_token_loss(reference, decoder.weights, decoder.shape, normed, next, kSmoothing,
                           y.dnormed.view(), Linear<HostGradients>{y.dhead.view()}, at_once);
  return y;
}

// The leaves, called for all rows at once.
Result by_hand(const RandomDecoder<float>& decoder, View<const float, 2> normed,
               const NextTokens& next) {
  const gemma::DecoderShape& shape = decoder.shape;
  const auto B = static_cast<Index>(next.rows.size());
  const auto& head = decoder.weights.head;
  Buffer<float, 2> logits({B, shape.vocabulary}), dlogits({B, shape.vocabulary});
  Buffer<float, 1> losses({B});
  linear(reference, normed, head, logits.view());
  const float cap = shape.final_soft_cap;
  if (cap != kNoSoftCap) soft_cap(reference, cap, logits.view());
  cross_entropy(reference, logits.view(), {next.targets.data(), {B}}, {next.weights.data(), {B}},
                {kSmoothing, next.scale}, losses.view(), dlogits.view());
  if (cap != kNoSoftCap) soft_cap_backward(reference, cap, logits.view(), dlogits.view());

  Result y(shape);
  linear_backward(reference, normed, head, dlogits.view(), y.dnormed.view(), {y.dhead.view()});
  for (Index b = 0; b < B; ++b) y.loss += losses.view()(b);
  return y;
}

// docs/train/next_token_loss.md, "By hand": a row should have said token 0.
TEST(NextTokenLoss, WorkedExample) {
  gemma::DecoderShape shape;
  shape.width = 1;
  shape.vocabulary = 2;
  const auto head = rows_of({{0}, {std::log(3)}}), normed = rows_of({{1}});
  gemma::DecoderWeights<HostWeights<float>> w;
  w.head = {head.view()};
  Buffer<float, 2> dnormed({1, 1}), dhead({2, 1});
  const NextTokens next{{1}, {0}, {1}};
  const double loss = next_token_loss(reference, w, shape, normed.view(), next, 0, dnormed.view(),
                                      Linear<HostGradients>{dhead.view()});
  const Tolerance tolerance = float_sum_of(2, std::log(4));
  EXPECT_NEAR(loss, std::log(4), tolerance.absolute);
  EXPECT_TRUE(close(dnormed.view(), rows_of({{0.75 * std::log(3)}}).view(), tolerance));
  EXPECT_TRUE(close(dhead.view(), rows_of({{-0.75}, {0.75}}).view(), tolerance));
}

// Gemma 1 has no cap, Gemma 2 has one. Both gradients are added to what was there, 7 numbers at most. Of a scale four
// of the targets are.
TEST(NextTokenLoss, IsTheLeavesCalledByHand) {
  for (const gemma::DecoderShape& shape : {small_gemma1(), small_gemma2()}) {
    for (const Scale& scale : {Scale{}, Scale{5, 30, 2}}) {
      const RandomDecoder<float> decoder(shape);
      const auto normed = random<float, 2>({kRows, shape.width}, 1);
      NextTokens next = seven();
      next.scale = scale;
      const Result expected = by_hand(decoder, normed.view(), next);
      for (const Index at_once : {1, 3, 64}) {
        SCOPED_TRACE(at_once);
        const Result y = result(decoder, normed.view(), next, at_once);
        EXPECT_NEAR(y.loss, expected.loss, float_sum_of(7).relative * expected.loss);
        EXPECT_TRUE(is_gradient(y.dnormed, doubles(expected.dnormed), 7));
        EXPECT_TRUE(is_gradient(y.dhead, doubles(expected.dhead), 7));
      }
    }
  }
}

// A head that is not learned: the rows get what they got.
TEST(NextTokenLoss, LearnsTheHeadIfItIsGivenRoomFor) {
  const RandomDecoder<float> decoder(small_gemma1());
  const auto normed = random<float, 2>({kRows, decoder.shape.width}, 1);
  const Result y = result(decoder, normed.view(), seven());
  Result alone(decoder.shape);
  alone.loss = next_token_loss(reference, decoder.weights, decoder.shape, normed.view(), seven(),
                               kSmoothing, alone.dnormed.view(), Linear<HostGradients>());
  EXPECT_EQ(alone.loss, y.loss);
  EXPECT_TRUE(close(alone.dnormed.view(), y.dnormed.view(), kExact));
}

// Where there is no room for what comes back, the head gets nothing, either.
TEST(NextTokenLoss, IsAllThereIsWhereNothingIsLearned) {
  for (const gemma::DecoderShape& shape : {small_gemma1(), small_gemma2()}) {
    const RandomDecoder<float> decoder(shape);
    const auto normed = random<float, 2>({kRows, shape.width}, 1);
    const Result before(shape);
    for (const Index at_once : {3, 64}) {
      Result y(shape);
      y.loss = next_token_loss(reference, decoder.weights, shape, normed.view(), seven(),
                               kSmoothing, Buffer<float, 2>({0, shape.width}).view(),
                               Linear<HostGradients>{y.dhead.view()}, at_once);
      EXPECT_EQ(y.loss, result(decoder, normed.view(), seven(), at_once).loss);
      EXPECT_TRUE(close(y.dhead.view(), before.dhead.view(), kExact));
    }
  }
}

TEST(NextTokenLoss, OfNoRowsIsNothing) {
  const RandomDecoder<float> decoder(small_gemma1());
  const auto normed = random<float, 2>({kRows, decoder.shape.width}, 1);
  const Result before(decoder.shape), y = result(decoder, normed.view().rows(0, 0), {});
  EXPECT_EQ(y.loss, 0);
  EXPECT_TRUE(close(y.dnormed.view(), before.dnormed.view(), kExact));
  EXPECT_TRUE(close(y.dhead.view(), before.dhead.view(), kExact));
}

TEST(NextTokenLoss, RejectsRowsOfAnotherNumber) {
  const RandomDecoder<float> decoder(small_gemma1());
  const auto normed = random<float, 2>({kRows, decoder.shape.width}, 1);
  EXPECT_THROW(result(decoder, normed.view(), {{0}, {0}, {1}}), ContractError);
}

TEST(NextTokenLoss, RejectsListsOfOtherLengthsAndNoRowsAtOnce) {
  const RandomDecoder<float> decoder(small_gemma1());
  const auto normed = random<float, 2>({kRows, decoder.shape.width}, 1);
  const auto two = normed.view().rows(0, 2);
  EXPECT_THROW(result(decoder, two, {{0, 1}, {0, 0, 0}, {1, 1}}), ContractError);
  EXPECT_THROW(result(decoder, two, {{0, 1}, {0, 0}, {1, 1, 1}}), ContractError);
  EXPECT_THROW(result(decoder, normed.view(), seven(), 0), ContractError);
}

}  // namespace
}  // namespace paligemma
