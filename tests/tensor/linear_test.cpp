#include "tensor/linear.h"

#include <utility>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/epilogues.h"
#include "tests/support/gradients.h"
#include "tests/support/lora.h"

namespace paligemma {
namespace {

using namespace test;

// docs/tensor/linear.md, "By hand".
TEST(Linear, WorkedExample) {
  const auto x = rows_of({{1, 2, 3}});
  const auto weight = rows_of({{1, 0, -1}, {2, 1, 0}});
  const auto bias = vector_of({10, 20});
  Buffer<float, 2> y({1, 2});
  linear(reference, x.view(), Linear{weight.view(), bias.view()}, y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{8, 24}}).view(), kExact));
}

TEST(Linear, AddsNothingIfThereIsNoBias) {
  const auto x = rows_of({{1, 2, 3}});
  const auto weight = rows_of({{1, 0, -1}, {2, 1, 0}});
  Buffer<float, 2> y({1, 2});
  linear(reference, x.view(), Linear{weight.view()}, y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{-2, 4}}).view(), kExact));
}

// A square matrix fits either way round, so no shape check would notice the wrong one.
TEST(Linear, HasOneRowOfWeightsPerOutput) {
  const auto x = rows_of({{5, 7}});
  const auto weight = rows_of({{0, 1}, {0, 0}});
  Buffer<float, 2> y({1, 2});
  linear(reference, x.view(), Linear{weight.view()}, y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{7, 0}}).view(), kExact));
}

// (1 + e)² = 1 + 2e + e², of which e² is half of the last place and rounds away. A processor that
// multiplies and adds in one instruction would keep it, if the compiler used that.
TEST(Linear, RoundsProductsBeforeItAddsThem) {
  const float e = 1.0f / 4096;
  const auto x = rows_of({{-1, 1 + e}});
  const auto weight = rows_of({{1 + 2 * e, 1 + e}});
  Buffer<float, 2> y({1, 1});
  linear(reference, x.view(), Linear{weight.view()}, y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{0}}).view(), kExact));
}

// What each epilogue means, made of the leaves that it stands for.
TEST(Linear, EndsASumAsTheLeavesDo) {
  const Index T = 3, O = 5, I = 7;
  const auto x = random<float, 2>({T, I}, 1), before = random<float, 2>({T, O}, 2);
  const auto weight = random<float, 2>({O, I}, 3), gate_weight = random<float, 2>({O, I}, 4);
  const auto bias = random<float, 1>({O}, 5), gate_bias = random<float, 1>({O}, 6);
  const Linear layer{weight.view(), bias.view()};
  const Linear<HostWeights<float>> gates[] = {{gate_weight.view()},
                                              {gate_weight.view(), gate_bias.view()}};
  for (const auto& epilogue : every_epilogue(gates)) {
    const auto expected = by_leaves(x.view(), layer, epilogue, before.view());
    Buffer<float, 2> y({T, O});
    copy(reference, before.view(), y.view());
    linear(reference, x.view(), layer, y.view(), epilogue);
    EXPECT_TRUE(close(y.view(), expected.view(), kExact));
  }
}

TEST(Linear, RejectsAGateThatDoesNotFit) {
  const Buffer<float, 2> x({2, 7}), weight({3, 7}), narrow({3, 6}), fewer({2, 7});
  const Buffer<float, 1> short_bias({2});
  Buffer<float, 2> y({2, 3});
  const Linear layer{weight.view()};
  const Linear<HostWeights<float>> gates[] = {
      {narrow.view()}, {fewer.view()}, {weight.view(), short_bias.view()}};
  for (const auto& gate : gates) {
    EXPECT_THROW(
        linear(reference, x.view(), layer, y.view(), {.activation = GeluForm::tanh, .gate = &gate}),
        ContractError);
  }
  EXPECT_THROW(linear(reference, x.view(), layer, y.view(), {.gate = &layer}), ContractError);
}

// So prefill and decoding agree.
TEST(Linear, GivesATokenTheSameBitsAloneAndInARow) {
  const auto x = random<float, 2>({5, 257}, 1);
  const auto weight = random<float, 2>({7, 257}, 2);
  Buffer<float, 2> together({5, 7}), alone({5, 7});
  linear(reference, x.view(), Linear{weight.view()}, together.view());
  for (Index t = 0; t < 5; ++t) {
    linear(reference, x.view().rows(t, t + 1), Linear{weight.view()}, alone.view().rows(t, t + 1));
  }
  EXPECT_TRUE(close(together.view(), alone.view(), kExact));
}

TEST(Linear, MayWriteIntoAWindow) {
  const auto x = random<float, 2>({3, 7}, 1);
  const auto weight = random<float, 2>({2, 7}, 2);
  const auto bias = random<float, 1>({2}, 3);
  Buffer<float, 2> wide({3, 4}), y({3, 2});
  const View<float, 2> middle(&wide.view()(0, 1), {3, 2}, {4, 1});
  linear(reference, x.view(), Linear{weight.view(), bias.view()}, middle);
  linear(reference, x.view(), Linear{weight.view(), bias.view()}, y.view());
  for (Index t = 0; t < 3; ++t) {
    EXPECT_EQ(wide.view()(t, 0), 0);
    EXPECT_EQ(wide.view()(t, 1), y.view()(t, 0));
    EXPECT_EQ(wide.view()(t, 2), y.view()(t, 1));
    EXPECT_EQ(wide.view()(t, 3), 0);
  }
}

TEST(Linear, RejectsWrongShapes) {
  const auto x = random<float, 2>({3, 7}, 1), short_x = random<float, 2>({3, 6}, 1);
  const auto weight = random<float, 2>({5, 7}, 2);
  const auto bias = random<float, 1>({5}, 3), short_bias = random<float, 1>({4}, 3);
  Buffer<float, 2> y({3, 5}), few_rows({2, 5}), few_columns({3, 4});
  const auto run = [&](const auto& in, const auto& shift, auto& out) {
    linear(reference, in.view(), Linear{weight.view(), shift.view()}, out.view());
  };
  EXPECT_NO_THROW(run(x, bias, y));
  EXPECT_THROW(run(short_x, bias, y), ContractError);
  EXPECT_THROW(run(x, short_bias, y), ContractError);
  EXPECT_THROW(run(x, bias, few_rows), ContractError);
  EXPECT_THROW(run(x, bias, few_columns), ContractError);
}

TEST(Linear, RejectsRowsThatAreNotContiguous) {
  const auto numbers = random<float, 2>({3, 3}, 1);
  const View<const float, 2> transposed(numbers.view().data(), {3, 3}, {1, 3});
  Buffer<float, 2> y({3, 3});
  EXPECT_THROW(linear(reference, transposed, Linear{numbers.view()}, y.view()), ContractError);
  EXPECT_THROW(linear(reference, numbers.view(), Linear{transposed}, y.view()), ContractError);
}

// The definition again, in double.
template <class Weight>
Buffer<float, 2> oracle(View<const float, 2> x, View<const Weight, 2> weight,
                        View<const Weight, 1> bias) {
  Buffer<float, 2> y({x.size(0), weight.size(0)});
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index o = 0; o < weight.size(0); ++o) {
      double sum = widen(bias(o));
      for (Index i = 0; i < x.size(1); ++i) sum += double{x(t, i)} * widen(weight(o, i));
      y.view()(t, o) = static_cast<float>(sum);
    }
  }
  return y;
}

template <class Weight>
class LinearOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(LinearOf, Weights);

// I terms, whose magnitudes are 1/4 in the mean, and a bias of at most 1.
Tolerance sum_of_products(Index I) { return float_sum_of(I + 1, static_cast<double>(I) / 4 + 1); }

// 1152 and 4304 are SigLIP's widths, 2048 is Gemma 2B's; the rest are the sizes that break kernels.
TYPED_TEST(LinearOf, MatchesTheDefinition) {
  for (Index I : {1, 7, 255, 257, 1152, 2048, 4304}) {
    const auto x = random<float, 2>({3, I}, 1);
    const auto weight = random<TypeParam, 2>({5, I}, 2);
    const auto bias = random<TypeParam, 1>({5}, 3);
    Buffer<float, 2> y({3, 5});
    linear(reference, x.view(), Linear{weight.view(), bias.view()}, y.view());
    const auto expected = oracle(x.view(), weight.view(), bias.view());
    EXPECT_TRUE(close(y.view(), expected.view(), sum_of_products(I))) << "I = " << I;
  }
}

TYPED_TEST(LinearOf, MatchesTheDefinitionForEveryNumberOfOutputs) {
  for (Index O : {1, 7, 255, 257}) {
    const auto x = random<float, 2>({3, 36}, 1);
    const auto weight = random<TypeParam, 2>({O, 36}, 2);
    const auto bias = random<TypeParam, 1>({O}, 3);
    Buffer<float, 2> y({3, O});
    linear(reference, x.view(), Linear{weight.view(), bias.view()}, y.view());
    const auto expected = oracle(x.view(), weight.view(), bias.view());
    EXPECT_TRUE(close(y.view(), expected.view(), sum_of_products(36))) << "O = " << O;
  }
}

// bf16 has no 257, so a sum kept in it stops at 256; f16 stops at 2048.
TYPED_TEST(LinearOf, SumsInFloat) {
  Buffer<float, 2> x({1, 2049}), y({1, 1});
  Buffer<TypeParam, 2> weight({1, 2049});
  for (Index i = 0; i < 2049; ++i) {
    x.view()(0, i) = 1.0f;
    weight.view()(0, i) = narrow<TypeParam>(1.0f);
  }
  linear(reference, x.view(), Linear{std::as_const(weight).view()}, y.view());
  EXPECT_EQ(y.view()(0, 0), 2049);
}

// 1 + 2^-12 is no bf16 and no f16.
TYPED_TEST(LinearOf, RoundsNoActivation) {
  const auto x = rows_of({{1 + 0x1p-12}});
  const auto weight = rows_of<TypeParam>({{1}});
  Buffer<float, 2> y({1, 1});
  linear(reference, x.view(), Linear{weight.view()}, y.view());
  EXPECT_TRUE(close(y.view(), x.view(), kExact));
}

// ---- backward --------------------------------------------------------------------------------------

// y [T, O], where x has T rows and the bias O numbers.
Doubles definition(const Doubles& x, const Doubles& weight, const Doubles& bias) {
  const std::size_t O = bias.size(), I = weight.size() / O;
  Doubles y;
  for (std::size_t t = 0; t < x.size() / I; ++t) {
    for (std::size_t o = 0; o < O; ++o) {
      double sum = bias[o];
      for (std::size_t i = 0; i < I; ++i) sum += x[t * I + i] * weight[o * I + i];
      y.push_back(sum);
    }
  }
  return y;
}

// docs/tensor/linear.md, "Backward".
TEST(LinearBackward, WorkedExample) {
  const auto x = rows_of({{1, 2}}), weight = rows_of({{3, 4}, {5, 6}}), dy = rows_of({{1, -1}});
  Buffer<float, 2> dx({1, 2}), dweight({2, 2});
  Buffer<float, 1> dbias({2});
  linear_backward(reference, x.view(), Linear{weight.view()}, dy.view(), dx.view(),
                  {dweight.view(), dbias.view()});
  EXPECT_TRUE(close(dx.view(), rows_of({{-2, -2}}).view(), kExact));
  EXPECT_TRUE(close(dweight.view(), rows_of({{1, 2}, {-1, -2}}).view(), kExact));
  EXPECT_TRUE(close(dbias.view(), vector_of({1, -1}).view(), kExact));
}

TYPED_TEST(LinearOf, BackwardIsTheSlopeOfTheDefinition) {
  struct Size {
    Index T, I, O;
  };
  for (const auto [T, I, O] : {Size{1, 1, 1}, Size{3, 7, 5}, Size{5, 3, 9}, Size{2, 33, 17}}) {
    const auto x = random<float, 2>({T, I}, 1);
    const auto weight = random<TypeParam, 2>({O, I}, 2);
    const auto bias = random<TypeParam, 1>({O}, 3);
    const auto dy = random<float, 2>({T, O}, 4);
    auto dx = random<float, 2>({T, I}, 5), dweight = random<float, 2>({O, I}, 6);
    auto dbias = random<float, 1>({O}, 7);
    const Doubles numbers[] = {doubles(x), doubles(weight), doubles(bias)};
    const auto expected = [&](const Doubles& before, int input) {
      const auto y = [&](const Doubles& changed) {
        return definition(input == 0 ? changed : numbers[0], input == 1 ? changed : numbers[1],
                          input == 2 ? changed : numbers[2]);
      };
      return before + gradient_of(y, numbers[input], doubles(dy));
    };
    const Doubles expected_dx = expected(doubles(dx), 0),
                  expected_dweight = expected(doubles(dweight), 1),
                  expected_dbias = expected(doubles(dbias), 2);
    linear_backward(reference, x.view(), Linear{weight.view(), bias.view()}, dy.view(), dx.view(),
                    {dweight.view(), dbias.view()});
    EXPECT_TRUE(is_gradient(dx, expected_dx, O));
    EXPECT_TRUE(is_gradient(dweight, expected_dweight, T));
    EXPECT_TRUE(is_gradient(dbias, expected_dbias, T));
  }
}

TEST(LinearBackward, LeavesOutWhatIsNotAskedFor) {
  const auto x = random<float, 2>({3, 4}, 1), weight = random<float, 2>({5, 4}, 2),
             dy = random<float, 2>({3, 5}, 3);
  const Linear w{weight.view()};
  Buffer<float, 2> dx({3, 4}), dx_alone({3, 4}), dweight({5, 4}), dweight_alone({5, 4});
  linear_backward(reference, x.view(), w, dy.view(), dx.view(), {dweight.view()});
  linear_backward(reference, x.view(), w, dy.view(), dx_alone.view(), {});
  linear_backward(reference, x.view(), w, dy.view(), {}, {dweight_alone.view()});
  EXPECT_TRUE(close(dx_alone.view(), dx.view(), kExact));
  EXPECT_TRUE(close(dweight_alone.view(), dweight.view(), kExact));
}

// What tests/tensor/lora_test.cpp looks at is there, once.
TEST(LinearBackward, HasThePartOfAnAdapter) {
  const Index T = 3, I = 4, O = 5, r = 2;
  const auto x = random<float, 2>({T, I}, 1), weight = random<float, 2>({O, I}, 2),
             dy = random<float, 2>({T, O}, 3);
  const RandomLora random_lora(O, I, r, 4);
  const auto lora = random_lora.plain();
  Buffer<float, 2> dx({T, I}), da({r, I}), db({r, O}), expected_dx({T, I}), expected_da({r, I}),
      expected_db({r, O});
  const Lora<HostGradients> dw{da.view(), db.view()},
      expected_dw{expected_da.view(), expected_db.view()};
  linear_backward(reference, x.view(), Linear{weight.view()}, dy.view(), expected_dx.view(), {});
  lora_backward(reference, x.view(), lora, dy.view(), expected_dx.view(), &expected_dw);
  linear_backward(reference, x.view(), Linear<HostWeights<float>>{weight.view(), {}, &lora},
                  dy.view(), dx.view(), {{}, {}, &dw});
  EXPECT_TRUE(close(dx.view(), expected_dx.view(), kExact));
  EXPECT_TRUE(close(da.view(), expected_da.view(), kExact));
  EXPECT_TRUE(close(db.view(), expected_db.view(), kExact));
}

TEST(LinearBackward, RejectsWrongShapes) {
  const auto x = random<float, 2>({3, 4}, 1), weight = random<float, 2>({5, 4}, 2),
             dy = random<float, 2>({3, 5}, 3), few_dy = random<float, 2>({2, 5}, 3);
  Buffer<float, 2> dx({3, 4}), narrow_dx({3, 3}), dweight({5, 4}), turned_dweight({4, 5}),
      narrow_dweight({5, 3});
  Buffer<float, 1> dbias({5}), short_dbias({4});
  const auto run = [&](View<const float, 2> dy_, View<float, 2> dx_, Linear<HostGradients> dw) {
    linear_backward(reference, x.view(), Linear{weight.view()}, dy_, dx_, dw);
  };
  EXPECT_NO_THROW(run(dy.view(), dx.view(), {dweight.view(), dbias.view()}));
  EXPECT_THROW(run(few_dy.view(), dx.view(), {}), ContractError);
  EXPECT_THROW(run(dy.view(), narrow_dx.view(), {}), ContractError);
  EXPECT_THROW(run(dy.view(), {}, {turned_dweight.view()}), ContractError);
  EXPECT_THROW(run(dy.view(), {}, {narrow_dweight.view()}), ContractError);
  EXPECT_THROW(run(dy.view(), {}, {dweight.view(), short_dbias.view()}), ContractError);
}

}  // namespace
}  // namespace paligemma
