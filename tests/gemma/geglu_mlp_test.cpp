#include "gemma/geglu_mlp.h"

#include "tests/support/gemma.h"

namespace paligemma {
namespace {

using namespace test;

template <class Weight>
Buffer<float, 2> mlp_of(const RandomDecoder<Weight>& decoder, View<const float, 2> x,
                        Index spare = 2) {
  const Index T = x.size(0);
  Workspace space(decoder.shape, T, spare);
  auto& s = space.scratch;
  copy(reference, x, s.normed.view().rows(0, T));
  geglu_mlp(reference, decoder.weights.blocks[0].mlp, decoder.shape, gemma::Segment{{}, 0, T, T},
            s);
  Buffer<float, 2> y({T, decoder.shape.width});
  copy(reference, s.branch.view().rows(0, T), y.view());
  return y;
}

template <class Weight>
class GegluMlpOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(GegluMlpOf, Weights);

TYPED_TEST(GegluMlpOf, MatchesTheDefinition) {
  for (GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
    for (Index T : {1, 7}) {
      gemma::DecoderShape shape = small_gemma1();
      shape.gelu = form;
      const RandomDecoder<TypeParam> decoder(shape);
      const auto x = random<float, 2>({T, shape.width}, 1);
      const auto& w = decoder.weights.blocks[0].mlp;
      const auto expected = geglu_mlp_again(w, shape, table_of<double>(x.view()));
      const auto in_float = geglu_mlp_again(w, shape, table_of<float>(x.view()));
      EXPECT_TRUE(close(mlp_of(decoder, x.view()).view(), floats_of(expected).view(),
                        tolerance_of(in_float, expected)))
          << "T = " << T;
    }
  }
}

// 255 and 257 hidden features, and 1: the sizes that break kernels.
TEST(GegluMlp, TakesAwkwardWidths) {
  for (Index F : {1, 255, 257}) {
    gemma::DecoderShape shape = small_gemma1();
    shape.mlp_width = F;
    const RandomDecoder<float> decoder(shape);
    const auto x = random<float, 2>({3, shape.width}, 1);
    const auto& w = decoder.weights.blocks[0].mlp;
    const auto expected = geglu_mlp_again(w, shape, table_of<double>(x.view()));
    const auto in_float = geglu_mlp_again(w, shape, table_of<float>(x.view()));
    EXPECT_TRUE(close(mlp_of(decoder, x.view()).view(), floats_of(expected).view(),
                      tolerance_of(in_float, expected)))
        << "F = " << F;
  }
}

// Exchanging gate and up gives another answer: the GELU stands on the gate.
TEST(GegluMlp, GateAndUpAreNotInterchangeable) {
  RandomDecoder<float> decoder(small_gemma1());
  const auto x = random<float, 2>({3, decoder.shape.width}, 1);
  auto& w = decoder.weights.blocks[0].mlp;
  const auto in_float = geglu_mlp_again(w, decoder.shape, table_of<float>(x.view()));
  const auto expected = geglu_mlp_again(w, decoder.shape, table_of<double>(x.view()));
  std::swap(w.gate, w.up);
  EXPECT_FALSE(close(mlp_of(decoder, x.view()).view(), floats_of(expected).view(),
                     tolerance_of(in_float, expected)));
}

// A token's result is the same alone and in company, bit for bit.
TEST(GegluMlp, TakesEachTokenByItself) {
  const RandomDecoder<float> decoder(small_gemma1());
  const auto x = random<float, 2>({7, decoder.shape.width}, 1);
  const auto together = mlp_of(decoder, x.view());
  for (Index t = 0; t < 7; ++t) {
    const auto alone = mlp_of(decoder, x.view().rows(t, t + 1));
    EXPECT_TRUE(close(alone.view(), together.view().rows(t, t + 1), kExact)) << "t = " << t;
  }
}

// No biases: nothing in, nothing out.
TEST(GegluMlp, ZeroRowStaysZero) {
  const RandomDecoder<float> decoder(small_gemma1());
  const Buffer<float, 2> zeros({3, decoder.shape.width});
  EXPECT_TRUE(close(mlp_of(decoder, zeros.view()).view(), zeros.view(), kExact));
}

TEST(GegluMlp, RejectsWeightsOfAnotherWidth) {
  RandomDecoder<float> decoder(small_gemma1());
  const auto x = random<float, 2>({3, decoder.shape.width}, 1);
  auto& w = decoder.weights.blocks[0].mlp;
  std::swap(w.gate, w.down);
  EXPECT_THROW(mlp_of(decoder, x.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
