#include "gemma/geglu_mlp.h"

#include "paligemma/weights.h"
#include "tests/support/gemma.h"
#include "tests/support/slopes.h"

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

// ---- backward --------------------------------------------------------------------------------------

TEST(GegluMlpBackward, IsTheSlopeOfTheWayThere) {
  gemma::DecoderShape shape = small_gemma1();
  for (const GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
    shape.gelu = form;
    Slopes slopes;
    const auto w = load_decoder<HostWeights<float>>(shape, true, slopes).blocks[0].mlp;
    const auto x = slopes.input("x", 5, shape.width);
    auto sums = slopes.sums();
    const auto dw = load_decoder<HostGradients>(shape, true, sums).blocks[0].mlp;
    const auto dy = random<float, 2>({5, shape.width}, 2);
    gemma::GegluMlpActivations<Reference> kept(shape, 5), d(shape, 5);
    const auto loss = [&] {
      Buffer<float, 2> y({5, shape.width});
      geglu_mlp(reference, w, shape, x, kept, y.view());
      return loss_of(dy.view(), std::as_const(y).view());
    };
    loss();
    Buffer<float, 2> other({5, shape.width});  // what an earlier call left in d does not matter
    geglu_mlp_backward(reference, w, shape, x, kept, dy.view(), d, other.view(),
                       gemma::GegluMlpWeights<HostGradients>());
    geglu_mlp_backward(reference, w, shape, x, kept, dy.view(), d, slopes.gradient("x"), dw);

    // The two forms are too alike for differences of floats.
    Buffer<float, 2> dhidden(d.gate.view().shape()), dgate(dhidden.view().shape()),
        dup(dhidden.view().shape());
    linear_backward(reference, kept.hidden.view(), w.down, dy.view(), dhidden.view(), {});
    geglu_backward(reference, form, kept.gate.view(), kept.up.view(), dhidden.view(), dgate.view(),
                   dup.view());
    EXPECT_TRUE(close(d.gate.view(), dgate.view(), kExact));
    EXPECT_TRUE(close(d.up.view(), dup.view(), kExact));
    slopes.expect_of(loss);
  }
}

TEST(GegluMlpBackward, OnTheWayThereItSaysTheSame) {
  const RandomDecoder<float> decoder(small_gemma1());
  const auto x = random<float, 2>({5, decoder.shape.width}, 1);
  Buffer<float, 2> y(x.view().shape());
  gemma::GegluMlpActivations<Reference> kept(decoder.shape, 5);
  geglu_mlp(reference, decoder.weights.blocks[0].mlp, decoder.shape, x.view(), kept, y.view());
  EXPECT_TRUE(close(y.view(), mlp_of(decoder, x.view()).view(), kExact));
}

}  // namespace
}  // namespace paligemma
