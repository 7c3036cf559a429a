#include "tensor/lora.h"

#include "gemma/token_embedding.h"
#include "tensor/quantized_linear.h"
#include "tests/support/compare.h"
#include "tests/support/epilogues.h"
#include "tests/support/gradients.h"
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

// ---- backward --------------------------------------------------------------------------------------

// y [T, O] = x W^T + (x a^T) b
Doubles definition(const Doubles& x, const Doubles& weight, const Doubles& a, const Doubles& b,
                   std::size_t r) {
  const std::size_t I = a.size() / r, O = b.size() / r;
  Doubles y;
  for (std::size_t t = 0; t < x.size() / I; ++t) {
    for (std::size_t o = 0; o < O; ++o) {
      double sum = 0;
      for (std::size_t i = 0; i < I; ++i) {
        double changed = weight[o * I + i];
        for (std::size_t k = 0; k < r; ++k) changed += b[k * O + o] * a[k * I + i];
        sum += changed * x[t * I + i];
      }
      y.push_back(sum);
    }
  }
  return y;
}

// docs/tensor/lora.md, "Backward".
TEST(LoraBackward, WorkedExample) {
  const auto x = rows_of({{1, 2}}), dy = rows_of({{1, -1, 2}});
  const auto a = rows_of({{1, -1}, {2, 1}}), b = rows_of({{2, 0, -3}, {0, 1, 1}});
  Buffer<float, 2> dx({1, 2}), da({2, 2}), db({2, 3});
  const Lora<HostGradients> dw{da.view(), db.view()};
  lora_backward(reference, x.view(), Lora<HostWeights<float>>{a.view(), b.view()}, dy.view(),
                dx.view(), &dw);
  EXPECT_TRUE(close(dx.view(), rows_of({{-2, 5}}).view(), kExact));
  EXPECT_TRUE(close(da.view(), rows_of({{-4, -8}, {1, 2}}).view(), kExact));
  EXPECT_TRUE(close(db.view(), rows_of({{-1, 1, -2}, {4, -4, 8}}).view(), kExact));
}

template <class Weight>
class LoraBackwardOf : public ::testing::Test {};
using LayerWeights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(LoraBackwardOf, LayerWeights);

// Of a layer and its adapter, from gradients on that are not 0; the adapter's bias goes into no product.
TYPED_TEST(LoraBackwardOf, ALayerIsTheSlopeOfTheDefinition) {
  struct Size {
    Index T, I, O, r;
  };
  for (const auto [T, I, O, r] :
       {Size{1, 1, 1, 1}, Size{3, 7, 5, 2}, Size{5, 3, 9, 4}, Size{2, 33, 17, 3}}) {
    const auto x = random<float, 2>({T, I}, 1), dy = random<float, 2>({T, O}, 2);
    const auto weight = random<TypeParam, 2>({O, I}, 3);
    const RandomLora change(O, I, r, 4);
    auto w = change.plain();
    w.bias = change.bias.view();
    auto dx = random<float, 2>({T, I}, 10), dweight = random<float, 2>({O, I}, 11),
         da = random<float, 2>({r, I}, 12), db = random<float, 2>({r, O}, 13);
    const Doubles numbers[] = {doubles(x), doubles(weight), doubles(change.a), doubles(change.b)};
    const auto expected = [&, rank = static_cast<std::size_t>(r)](const Doubles& before,
                                                                  int input) {
      const auto y = [&](const Doubles& changed) {
        const auto at = [&](int n) { return n == input ? changed : numbers[n]; };
        return definition(at(0), at(1), at(2), at(3), rank);
      };
      return before + gradient_of(y, numbers[input], doubles(dy));
    };
    const Doubles expected_dx = expected(doubles(dx), 0),
                  expected_dweight = expected(doubles(dweight), 1),
                  expected_da = expected(doubles(da), 2), expected_db = expected(doubles(db), 3);
    const Lora<HostGradients> dw{da.view(), db.view()};
    linear_backward(reference, x.view(), Linear<HostWeights<TypeParam>>{weight.view(), {}, &w},
                    dy.view(), dx.view(), {dweight.view(), {}, &dw});
    EXPECT_TRUE(is_gradient(dx, expected_dx, O + r));
    EXPECT_TRUE(is_gradient(dweight, expected_dweight, T));
    EXPECT_TRUE(is_gradient(da, expected_da, T + O));
    EXPECT_TRUE(is_gradient(db, expected_db, T + I));
  }
}

// An x that nobody learns from, a matrix that is frozen, or both.
TEST(LoraBackward, LeavesOutWhatIsNotAskedFor) {
  const Index T = 3, I = 4, O = 5, r = 2;
  const auto x = random<float, 2>({T, I}, 1), dy = random<float, 2>({T, O}, 2);
  const RandomLora change(O, I, r, 3);
  Buffer<float, 2> dx({T, I}), da({r, I}), db({r, O});
  const Lora<HostGradients> both{da.view(), db.view()};
  lora_backward(reference, x.view(), change.plain(), dy.view(), dx.view(), &both);
  Buffer<float, 2> dx_alone({T, I}), da_alone({r, I}), db_alone({r, O});
  const Lora<HostGradients> of_a{da_alone.view(), {}}, of_b{{}, db_alone.view()};
  lora_backward(reference, x.view(), change.plain(), dy.view(), dx_alone.view(), nullptr);
  lora_backward(reference, x.view(), change.plain(), dy.view(), View<float, 2>(), &of_a);
  lora_backward(reference, x.view(), change.plain(), dy.view(), View<float, 2>(), &of_b);
  EXPECT_TRUE(close(dx_alone.view(), dx.view(), kExact));
  EXPECT_TRUE(close(da_alone.view(), da.view(), kExact));
  EXPECT_TRUE(close(db_alone.view(), db.view(), kExact));
}

// Where b is 0, as when training begins, a and x get nothing, and b does.
TEST(LoraBackward, OfAZeroBReachesBAlone) {
  const auto x = rows_of({{1, 2}}), dy = rows_of({{1, -1, 2}}), a = rows_of({{1, 1}});
  const Buffer<float, 2> b({1, 3});
  Buffer<float, 2> dx({1, 2}), da({1, 2}), db({1, 3});
  const Lora<HostGradients> dw{da.view(), db.view()};
  lora_backward(reference, x.view(), Lora<HostWeights<float>>{a.view(), b.view()}, dy.view(),
                dx.view(), &dw);
  EXPECT_TRUE(close(dx.view(), rows_of({{0, 0}}).view(), kExact));
  EXPECT_TRUE(close(da.view(), rows_of({{0, 0}}).view(), kExact));
  EXPECT_TRUE(close(db.view(), rows_of({{3, -3, 6}}).view(), kExact));
}

TEST(LoraBackward, RefusesMagnitudesAndWrongShapes) {
  const auto x = random<float, 2>({3, 4}, 1), dy = random<float, 2>({3, 5}, 2),
             few_dy = random<float, 2>({2, 5}, 2), narrow_dy = random<float, 2>({3, 4}, 2);
  const RandomLora change(5, 4, 2, 3);
  Buffer<float, 2> dx({3, 4}), narrow_dx({3, 3}), da({2, 4}), turned_da({4, 2}), db({2, 5}),
      turned_db({5, 2});
  const auto run = [&](const Lora<HostWeights<float>>& w, View<const float, 2> dy_,
                       View<float, 2> dx_, const Lora<HostGradients>& dw) {
    lora_backward(reference, x.view(), w, dy_, dx_, &dw);
  };
  EXPECT_NO_THROW(run(change.plain(), dy.view(), dx.view(), {da.view(), db.view()}));
  EXPECT_THROW(run(change.whole(), dy.view(), dx.view(), {da.view(), db.view()}), ContractError);
  EXPECT_THROW(run(change.plain(), few_dy.view(), dx.view(), {}), ContractError);
  EXPECT_THROW(run(change.plain(), narrow_dy.view(), dx.view(), {}), ContractError);
  EXPECT_THROW(run(change.plain(), dy.view(), narrow_dx.view(), {}), ContractError);
  EXPECT_THROW(run(change.plain(), dy.view(), {}, {turned_da.view(), {}}), ContractError);
  EXPECT_THROW(run(change.plain(), dy.view(), {}, {{}, turned_db.view()}), ContractError);
}

}  // namespace
}  // namespace paligemma
