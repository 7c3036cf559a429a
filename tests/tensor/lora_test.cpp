#include "tensor/lora.h"

#include "gemma/token_embedding.h"
#include "tensor/quantized_linear.h"
#include "tests/support/compare.h"
#include "tests/support/epilogues.h"
#include "tests/support/lora.h"

namespace paligemma {
namespace {

using namespace test;

// docs/tensor/lora.md, "By hand".
TEST(Lora, WorkedExample) {
  const auto x = rows_of({{1, 2}});
  const auto weight = rows_of({{3, 4}, {0, 1}, {1, 0}});
  const auto a = rows_of({{1, -1}}), b = rows_of({{2, 0, -3}});
  const auto magnitude = vector_of({0.5, 1, 1}), bias = vector_of({10, 20, 30});
  const Lora<HostWeights<float>> plain{a.view(), b.view()},
      whole{a.view(), b.view(), magnitude.view(), bias.view()};
  Buffer<float, 2> y({1, 3});
  linear(reference, x.view(), Linear<HostWeights<float>>{weight.view(), {}, &plain}, y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{9, 2, 4}}).view(), kExact));
  linear(reference, x.view(), Linear<HostWeights<float>>{weight.view(), {}, &whole}, y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{13.5, 22, 34}}).view(), kExact));
}

// The definition: the weights that a merged model would have.
TEST(Lora, IsTheLayerOfChangedWeights) {
  const Index T = 3, O = 5, I = 7, r = 2;
  const auto x = random<float, 2>({T, I}, 1), weight = random<float, 2>({O, I}, 2);
  const RandomLora random_lora(O, I, r, 3);
  const auto lora = random_lora.whole();
  Buffer<float, 2> y({T, O}), expected({T, O});
  linear(reference, x.view(), Linear<HostWeights<float>>{weight.view(), {}, &lora}, y.view());
  for (Index t = 0; t < T; ++t) {
    for (Index o = 0; o < O; ++o) {
      double sum = lora.bias(o);
      for (Index i = 0; i < I; ++i) {
        double changed = double{lora.magnitude(o)} * weight.view()(o, i);
        for (Index k = 0; k < r; ++k) changed += double{lora.b(k, o)} * lora.a(k, i);
        sum += changed * x.view()(t, i);
      }
      expected.view()(t, o) = static_cast<float>(sum);
    }
  }
  EXPECT_TRUE(close(y.view(), expected.view(), float_sum_of(2 * I, I)));
}

// What is added is bent and gated like the rest of the sum.
TEST(Lora, ComesBeforeTheEpilogue) {
  const Index T = 3, O = 5, I = 7;
  const auto x = random<float, 2>({T, I}, 1), before = random<float, 2>({T, O}, 2);
  const auto weight = random<float, 2>({O, I}, 3), gate_weight = random<float, 2>({O, I}, 4);
  const RandomLora one(O, I, 2, 10), other(O, I, 3, 20);
  const auto lora = one.whole(), gate_lora = other.plain();
  const Linear<HostWeights<float>> layers[] = {{weight.view()}, {weight.view(), {}, &lora}};
  const Linear<HostWeights<float>> gates[] = {{gate_weight.view()},
                                              {gate_weight.view(), {}, &gate_lora}};
  for (const auto& layer : layers) {
    for (const auto& epilogue : every_epilogue(gates)) {
      const auto expected = by_leaves(x.view(), layer, epilogue, before.view());
      Buffer<float, 2> y({T, O});
      copy(reference, before.view(), y.view());
      linear(reference, x.view(), layer, y.view(), epilogue);
      EXPECT_TRUE(close(y.view(), expected.view(), kExact));
    }
  }
}

// Blocks stay as they are: what is added is of floats.
TEST(Lora, StandsBesideQuantisedWeights) {
  const Index T = 2, O = 3, I = 300;
  const auto x = random<float, 2>({T, I}, 1), weight = random<float, 2>({O, I}, 2);
  Buffer<Int8Block, 2> blocks({O, blocks_of(I)}, unwritten);
  for (Index o = 0; o < O; ++o) {
    for (Index b = 0; b < blocks_of(I); ++b) {
      blocks.view()(o, b) =
          quantize<Int8Block>(&weight.view()(o, b * kBlock), std::min(kBlock, I - b * kBlock));
    }
  }
  const RandomLora random_lora(O, I, 2, 3);
  const auto change = random_lora.whole();
  Buffer<float, 2> expected({T, O}), y({T, O});
  using Blocks = Linear<QuantizedWeights<Int8Block>>;
  linear(reference, x.view(), Blocks{blocks.view()}, expected.view());
  lora(reference, x.view(), change, expected.view());
  linear(reference, x.view(), Blocks{blocks.view(), {}, &change}, y.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));
}

// A word of a changed table: its own row of a stands for a product with a.
TEST(Lora, OfAnEmbeddingLooksUpRowsOfA) {
  const Index V = 4, D = 3, r = 2;
  const auto table = random<float, 2>({V, D}, 1), a = random<float, 2>({V, r}, 2),
             b = random<float, 2>({r, D}, 3);
  const auto magnitude = random<float, 1>({D}, 4);
  const Lora<HostWeights<float>> change{a.view(), b.view(), magnitude.view()};
  const TokenId ids[] = {2, 0};
  const View<const TokenId, 1> words(ids, {2});
  Buffer<float, 2> y({2, D}), low({2, r}), expected({2, D});
  token_embedding(reference, words, table.view(), 1.0f, y.view());
  token_embedding(reference, words, a.view(), 1.0f, low.view());
  add_low_rank(reference, low.view(), change, y.view());
  for (Index t = 0; t < 2; ++t) {
    for (Index d = 0; d < D; ++d) {
      double sum = double{table.view()(ids[t], d)} * magnitude.view()(d);
      for (Index k = 0; k < r; ++k) sum += double{a.view()(ids[t], k)} * b.view()(k, d);
      expected.view()(t, d) = static_cast<float>(sum);
    }
  }
  EXPECT_TRUE(close(y.view(), expected.view(), float_sum_of(r + 1, r + 1)));
}

TEST(Lora, HasTheBiasOfItsLayer) {
  const auto x = rows_of({{1, 2}}), weight = rows_of({{3, 4}});
  const auto bias = vector_of({1});
  const RandomLora random_lora(1, 2, 1, 1);
  const auto change = random_lora.whole();
  Buffer<float, 2> y({1, 1});
  EXPECT_THROW(linear(reference, x.view(),
                      Linear<HostWeights<float>>{weight.view(), bias.view(), &change}, y.view()),
               ContractError);
}

TEST(Lora, RejectsWrongShapes) {
  const auto x = rows_of({{1, 2}}), weight = rows_of({{3, 4}});
  Buffer<float, 2> y({1, 1});
  for (const auto& [O, I] : {std::pair<Index, Index>(2, 2), {1, 3}}) {
    const RandomLora random_lora(O, I, 1, 1);
    const auto change = random_lora.plain();
    EXPECT_THROW(linear(reference, x.view(), Linear<HostWeights<float>>{weight.view(), {}, &change},
                        y.view()),
                 ContractError);
  }
}

}  // namespace
}  // namespace paligemma
