#include "fast/tensor/linear.h"

#include <cmath>
#include <utility>

#include "tests/support/epilogues.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/lora.h"

namespace paligemma {
namespace {

using namespace test;

class FastLinear : public OnEveryInstructionSet {
 protected:
  template <class Weight>
  void expect_matches_reference(Index T, Index O, Index I) {
    SCOPED_TRACE("T = " + std::to_string(T) + ", O = " + std::to_string(O) +
                 ", I = " + std::to_string(I));
    const auto x = random<float, 2>({T, I}, 1);
    const auto weight = random<Weight, 2>({O, I}, 2);
    const auto bias = random<Weight, 1>({O}, 3);
    Buffer<float, 2> expected({T, O}), y({T, O});
    const Tolerance sums = rounds<Weight>(T)
                               ? bf16_products_of(I)
                               : twice(float_sum_of(I, static_cast<double>(I) / 4 + 2));
    linear(reference, x.view(), Linear{weight.view()}, expected.view());
    linear(fast, x.view(), Linear{weight.view()}, y.view());
    EXPECT_TRUE(close(y.view(), expected.view(), sums));
    linear(reference, x.view(), Linear{weight.view(), bias.view()}, expected.view());
    linear(fast, x.view(), Linear{weight.view(), bias.view()}, y.view());
    EXPECT_TRUE(close(y.view(), expected.view(), sums));
  }
  // x is rounded where bf16 is multiplied by bf16: by tile registers for more than 6 tokens, else for more than 16.
  template <class Weight>
  bool rounds(Index T) {
    const bool has_tiles = std::string_view(fast.kernels().name).ends_with("amx");
    return std::is_same_v<Weight, bf16> && T > (has_tiles ? 6 : 16) && rounds_to_bf16();
  }
  // GELU's slope is at most 1.13, and a sum of 40 products at most 40, so an error of a sum grows by no more
  // than 46 in a product of two; exp, a quotient and the products round as well.
  template <class Weight>
  void expect_honours_every_epilogue() {
    const Index I = 40;
    for (const Index T : {1, 3, 9, 18, 37}) {
      const Tolerance sums =
          rounds<Weight>(T) ? bf16_products_of(I) : twice(float_sum_of(I, static_cast<double>(I)));
      const Tolerance bent{float_operations(20).relative, 46 * sums.absolute};
      for (const Index O : {7, 33, 100}) {
        const auto x = random<float, 2>({T, I}, 1), before = random<float, 2>({T, O}, 4);
        const auto weight = random<Weight, 2>({O, I}, 2), gate = random<Weight, 2>({O, I}, 3);
        const auto bias = random<Weight, 1>({O}, 5), gate_bias = random<Weight, 1>({O}, 6);
        const RandomLora one(O, I, 2, 7), other(O, I, 3, 17);
        const auto lora = one.whole(), gate_lora = other.plain();
        const Linear<HostWeights<Weight>> layers[] = {
            {weight.view()}, {weight.view(), bias.view()}, {weight.view(), {}, &lora}};
        const Linear<HostWeights<Weight>> gates[] = {
            {gate.view()}, {gate.view(), gate_bias.view()}, {gate.view(), {}, &gate_lora}};
        for (const auto& epilogue : every_epilogue(gates)) {
          for (const auto& layer : layers) {
            Buffer<float, 2> expected({T, O}), y({T, O});
            copy(reference, before.view(), expected.view());
            copy(reference, before.view(), y.view());
            linear(reference, x.view(), layer, expected.view(), epilogue);
            linear(fast, x.view(), layer, y.view(), epilogue);
            EXPECT_TRUE(close(y.view(), expected.view(), bent)) << "T = " << T << ", O = " << O;
          }
        }
      }
    }
  }
  template <class Weight>
  void expect_matches_reference_in_all_sizes() {
    for (Index T : {1, 2, 3, 4, 5, 6, 7, 13, 16, 17, 25}) {
      for (Index O : {1, 7, 33}) {
        for (Index I : {1, 7, 255, 257, 513}) expect_matches_reference<Weight>(T, O, I);
      }
    }
    expect_matches_reference<Weight>(3, 5, 4304);
    expect_matches_reference<Weight>(18, 17, 4304);
    expect_matches_reference<Weight>(20, 72, 1152);
    expect_matches_reference<Weight>(40, 70, 96);
    expect_matches_reference<Weight>(2, 1100, 40);  // streams of many rows
    expect_matches_reference<Weight>(8, 90, 4304);  // several blocks, each read by two groups
  }
};
INSTANTIATE_TEST_SUITE_P(, FastLinear, kInstructionSets, instruction_set_name);

TEST_P(FastLinear, MatchesReferenceWithFloatWeights) {
  expect_matches_reference_in_all_sizes<float>();
}
TEST_P(FastLinear, MatchesReferenceWithBf16Weights) {
  expect_matches_reference_in_all_sizes<bf16>();
}
TEST_P(FastLinear, MatchesReferenceWithF16Weights) { expect_matches_reference_in_all_sizes<f16>(); }

TEST_P(FastLinear, HonoursEveryEpilogue) {
  expect_honours_every_epilogue<float>();
  expect_honours_every_epilogue<bf16>();
}

// The two forms of GELU differ by 5e-4 at most, so a sum of one product tells them apart.
TEST_P(FastLinear, BendsInTheFormThatIsAskedFor) {
  const auto weight = rows_of({{1}, {1}});
  for (const Index T : {1, 9}) {
    Buffer<float, 2> x({T, 1}), expected({T, 2}), y({T, 2});
    for (Index t = 0; t < T; ++t) x.view()(t, 0) = 2.5f - static_cast<float>(t) / 2;
    for (const GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
      linear(reference, x.view(), Linear{weight.view()}, expected.view(), {.activation = form});
      linear(fast, x.view(), Linear{weight.view()}, y.view(), {.activation = form});
      EXPECT_TRUE(close(y.view(), expected.view(), float_operations(20))) << "T = " << T;
    }
  }
}

TEST_P(FastLinear, MayWriteIntoAWindow) {
  for (Index T : {2, 9}) {
    const auto x = random<float, 2>({T, 7}, 1);
    const auto weight = random<bf16, 2>({2, 7}, 2);
    Buffer<float, 2> wide({T, 4}), y({T, 2});
    linear(fast, x.view(), Linear{weight.view()},
           View<float, 2>(&wide.view()(0, 1), {T, 2}, {4, 1}));
    linear(fast, x.view(), Linear{weight.view()}, y.view());
    for (Index t = 0; t < T; ++t) {
      EXPECT_EQ(wide.view()(t, 0), 0);
      EXPECT_EQ(wide.view()(t, 1), y.view()(t, 0));
      EXPECT_EQ(wide.view()(t, 2), y.view()(t, 1));
      EXPECT_EQ(wide.view()(t, 3), 0);
    }
  }
}

TEST_P(FastLinear, TakesNoTokens) {
  const Buffer<float, 2> x({0, 7}), weight({3, 7});
  Buffer<float, 2> y({0, 3});
  EXPECT_NO_THROW(linear(fast, x.view(), Linear{weight.view()}, y.view()));
}

TEST_P(FastLinear, OfNoFeaturesIsItsBias) {
  const auto bias = random<bf16, 1>({40}, 1);
  for (const Index T : {2, 20}) {
    const Buffer<float, 2> x({T, 0});
    const Buffer<bf16, 2> weight({40, 0});
    Buffer<float, 2> y({T, 40});
    linear(fast, x.view(), Linear{weight.view(), bias.view()}, y.view());
    for (Index t = 0; t < T; ++t) {
      for (Index o = 0; o < 40; ++o) EXPECT_EQ(y.view()(t, o), widen(bias.view()(o)));
    }
  }
}

TEST_P(FastLinear, RejectsWrongShapes) {
  const Buffer<float, 2> x({2, 7}), weight({3, 7}), narrow({3, 6});
  const Buffer<float, 1> short_bias({2});
  Buffer<float, 2> y({2, 3}), short_y({1, 3});
  EXPECT_THROW(linear(fast, x.view(), Linear{narrow.view()}, y.view()), ContractError);
  EXPECT_THROW(linear(fast, x.view(), Linear{weight.view()}, short_y.view()), ContractError);
  EXPECT_THROW(linear(fast, x.view(), Linear{weight.view(), short_bias.view()}, y.view()),
               ContractError);
}

// ---- backward --------------------------------------------------------------------------------------

// Nothing is rounded but sums, whatever the weights are.
template <class Weight>
void expect_back_as_the_reference(const Fast& fast) {
  struct Size {
    Index T, I, O;
  };
  for (const auto [T, I, O] : {Size{1, 1, 1}, Size{3, 7, 5}, Size{9, 50, 33}, Size{20, 97, 65},
                               Size{70, 130, 10}, Size{2, 300, 2500}, Size{2500, 3, 2}}) {
    SCOPED_TRACE("T = " + std::to_string(T) + ", I = " + std::to_string(I) +
                 ", O = " + std::to_string(O));
    const auto x = random<float, 2>({T, I}, 1), dy = random<float, 2>({T, O}, 2);
    const auto weight = random<Weight, 2>({O, I}, 3);
    const Linear<HostWeights<Weight>> w{weight.view()};
    auto expected_dx = random<float, 2>({T, I}, 4), dx = random<float, 2>({T, I}, 4),
         expected_dw = random<float, 2>({O, I}, 5), dw = random<float, 2>({O, I}, 5);
    auto expected_db = random<float, 1>({O}, 6), db = random<float, 1>({O}, 6);
    linear_backward(reference, x.view(), w, dy.view(), expected_dx.view(),
                    {expected_dw.view(), expected_db.view()});
    linear_backward(fast, x.view(), w, dy.view(), dx.view(), {dw.view(), db.view()});
    const auto sums = [](Index n) {
      return twice(float_sum_of(n, std::sqrt(static_cast<double>(n)) + 1));
    };
    EXPECT_TRUE(close(dx.view(), expected_dx.view(), sums(O)));
    EXPECT_TRUE(close(dw.view(), expected_dw.view(), sums(T)));
    EXPECT_TRUE(close(db.view(), expected_db.view(), kExact));
  }
}
TEST_P(FastLinear, GoesBackAsTheReference) {
  expect_back_as_the_reference<float>(fast);
  expect_back_as_the_reference<bf16>(fast);
  expect_back_as_the_reference<f16>(fast);
}

TEST_P(FastLinear, GoesBackThroughAnAdapterAsTheReference) {
  struct Size {
    Index T, I, O, r;
  };
  for (const auto [T, I, O, r] :
       {Size{1, 1, 1, 1}, Size{3, 7, 5, 2}, Size{20, 97, 65, 8}, Size{70, 130, 10, 3}}) {
    SCOPED_TRACE("T = " + std::to_string(T) + ", I = " + std::to_string(I) +
                 ", O = " + std::to_string(O));
    const auto x = random<float, 2>({T, I}, 1), dy = random<float, 2>({T, O}, 2);
    const auto weight = random<bf16, 2>({O, I}, 3);
    const RandomLora random_lora(O, I, r, 4);
    const auto lora = random_lora.plain();
    const Linear<HostWeights<bf16>> w{weight.view(), {}, &lora};
    auto expected_dx = random<float, 2>({T, I}, 10), dx = random<float, 2>({T, I}, 10),
         expected_da = random<float, 2>({r, I}, 11), da = random<float, 2>({r, I}, 11),
         expected_db = random<float, 2>({r, O}, 12), db = random<float, 2>({r, O}, 12);
    const Lora<HostGradients> expected_dw{expected_da.view(), expected_db.view()},
        dw{da.view(), db.view()};
    linear_backward(reference, x.view(), w, dy.view(), expected_dx.view(), {{}, {}, &expected_dw});
    linear_backward(fast, x.view(), w, dy.view(), dx.view(), {{}, {}, &dw});
    // low is a sum of I products, dlow of O whose factors of b are a tenth; sums of those have errors of both signs.
    const auto sums = [](Index n, double size) {
      return twice(float_sum_of(n, size * (std::sqrt(static_cast<double>(n)) + 1)));
    };
    const double low = std::sqrt(static_cast<double>(I)), dlow = std::sqrt(static_cast<double>(O));
    EXPECT_TRUE(close(dx.view(), expected_dx.view(), sums(O + r, 2)));
    EXPECT_TRUE(close(da.view(), expected_da.view(), sums(T + O, 1 + 0.1 * dlow)));
    EXPECT_TRUE(close(db.view(), expected_db.view(), sums(T + I, 1 + low)));
  }
}

TEST_P(FastLinear, LeavesOutWhatIsNotAskedForOnTheWayBack) {
  const auto x = random<float, 2>({9, 50}, 1), dy = random<float, 2>({9, 33}, 2),
             weight = random<float, 2>({33, 50}, 3), few_dy = random<float, 2>({8, 33}, 2);
  const Linear w{weight.view()};
  Buffer<float, 2> dx({9, 50}), dx_alone({9, 50}), dw({33, 50}), dw_alone({33, 50});
  linear_backward(fast, x.view(), w, dy.view(), dx.view(), {dw.view()});
  linear_backward(fast, x.view(), w, dy.view(), dx_alone.view(), {});
  linear_backward(fast, x.view(), w, dy.view(), {}, {dw_alone.view()});
  EXPECT_TRUE(close(dx_alone.view(), dx.view(), kExact));
  EXPECT_TRUE(close(dw_alone.view(), dw.view(), kExact));
  EXPECT_THROW(linear_backward(fast, x.view(), w, few_dy.view(), dx.view(), {}), ContractError);
}

}  // namespace
}  // namespace paligemma
