#include "fast/tensor/quantized_linear.h"

#include "fast/tensor/linear.h"
#include "fast/tensor/lora.h"
#include "tensor/gelu.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/lora.h"
#include "tests/support/rounded.h"

namespace paligemma {
namespace {

using namespace test;

template <class Block>
Buffer<Block, 2> random_blocks(Index O, Index I, unsigned seed) {
  const auto weight = random<float, 2>({O, I}, seed);
  Buffer<Block, 2> blocks({O, blocks_of(I)});
  for (Index o = 0; o < O; ++o) {
    for (Index b = 0; b < blocks_of(I); ++b) {
      blocks.view()(o, b) =
          quantize<Block>(&weight.view()(o, b * kBlock), std::min(kBlock, I - b * kBlock));
    }
  }
  return blocks;
}

// Sums of n products of uniform numbers, whose magnitude is a quarter in the mean.
Tolerance sums_of(Index n) { return twice(float_sum_of(n, 0.25 * static_cast<double>(n))); }

class FastQuantizedLinear : public OnEveryInstructionSet {
 protected:
  template <class Block>
  void expect_matches_reference(Index T, Index O, Index I) {
    SCOPED_TRACE("T = " + std::to_string(T) + ", O = " + std::to_string(O) +
                 ", I = " + std::to_string(I));
    const auto x = random<float, 2>({T, I}, 1);
    const auto weight = random_blocks<Block>(O, I, 2), up = random_blocks<Block>(O, I, 3);
    Buffer<float, 2> expected({T, O}), expected_up({T, O}), y({T, O});
    linear(kRoundedAsFast, x.view(), Linear{weight.view()}, expected.view());
    linear(fast, x.view(), Linear{weight.view()}, y.view());
    EXPECT_TRUE(close(y.view(), expected.view(), sums_of(I)));

    // With x rounded already, nothing is lost but float roundings, so the gate may be told from up.
    linear(fast, x.view(), Linear{up.view()}, expected_up.view());
    for (Index t = 0; t < T; ++t) {
      for (Index o = 0; o < O; ++o) {
        expected.view()(t, o) = gelu(GeluForm::tanh, y.view()(t, o)) * expected_up.view()(t, o);
      }
    }
    const Linear gate{weight.view()};
    linear(fast, x.view(), Linear{up.view()}, y.view(),
           {.activation = GeluForm::tanh, .gate = &gate});
    EXPECT_TRUE(close(y.view(), expected.view(), {1e-5, 1e-5}));
  }
  template <class Block>
  void expect_matches_reference_in_all_sizes() {
    for (Index T : {1, 4, 5, 13}) {
      for (Index O : {1, 7, 33, 65}) {
        for (Index I : {1, 72, 255, 256, 513}) expect_matches_reference<Block>(T, O, I);
      }
    }
    expect_matches_reference<Block>(3, 5, 4304);
    expect_matches_reference<Block>(9, 17, 4304);
    expect_matches_reference<Block>(9, 49, 9000);
    expect_matches_reference<Block>(37, 40, 600);
  }
};
INSTANTIATE_TEST_SUITE_P(, FastQuantizedLinear, kInstructionSets, instruction_set_name);

TEST_P(FastQuantizedLinear, MatchesReferenceWithInt8Weights) {
  expect_matches_reference_in_all_sizes<Int8Block>();
}
TEST_P(FastQuantizedLinear, MatchesReferenceWithInt4Weights) {
  expect_matches_reference_in_all_sizes<Int4Block>();
}

// Numbers of x that are whole steps of 8 bits, and weights that are whole steps too: nothing is rounded,
// not even at the largest magnitudes, where sums of 16 or 32 bits would overflow first.
TEST_P(FastQuantizedLinear, IsExactForWholeSteps) {
  for (Index T : {1, 9}) {
    Buffer<float, 2> x({T, kBlock}), y({T, 2});
    Buffer<Int8Block, 2> weight({2, 1});
    for (Index i = 0; i < kBlock; ++i) {
      for (Index t = 0; t < T; ++t) x.view()(t, i) = i % 2 == 0 ? 127.0f : -127.0f;
      weight.view()(0, 0).q[i] = i % 2 == 0 ? 127 : -127;
      weight.view()(1, 0).q[i] = -127;
    }
    weight.view()(0, 0).scale = weight.view()(1, 0).scale = 1;
    linear(fast, std::as_const(x).view(), Linear{weight.view()}, y.view());
    for (Index t = 0; t < T; ++t) {
      EXPECT_EQ(y.view()(t, 0), 127.0f * 127 * 256);
      EXPECT_EQ(y.view()(t, 1), 0);
    }
  }
}

// The layer's and the gate's, which no layer of Gemma has. One feature, so that nothing else is summed;
// a gate of at most 2 and GELU's slope of 1.13 make an error of a sum up to 4.3 times as large.
TEST_P(FastQuantizedLinear, AddsBiases) {
  const Index O = 35;
  const Tolerance bent{float_operations(30).relative, 4.3 * twice(float_sum_of(2, 2)).absolute};
  const auto weight = random_blocks<Int8Block>(O, 1, 1), gate = random_blocks<Int8Block>(O, 1, 2);
  const auto bias = random<bf16, 1>({O}, 3), gate_bias = random<bf16, 1>({O}, 4);
  const Linear gate_layer{gate.view(), gate_bias.view()};
  for (const Index T : {1, 9}) {
    Buffer<float, 2> x({T, 1}), expected({T, O}), y({T, O});
    for (Index t = 0; t < T; ++t) x.view()(t, 0) = 1;
    for (const auto* gate_of : {static_cast<decltype(&gate_layer)>(nullptr), &gate_layer}) {
      const Epilogue<QuantizedWeights<Int8Block>> epilogue{.activation = GeluForm::tanh,
                                                           .gate = gate_of};
      linear(reference, x.view(), Linear{weight.view(), bias.view()}, expected.view(), epilogue);
      linear(fast, x.view(), Linear{weight.view(), bias.view()}, y.view(), epilogue);
      EXPECT_TRUE(close(y.view(), expected.view(), bent)) << "T = " << T;
    }
  }
}

// On the way back nothing is rounded but sums: the weights are floats there, so many rows at a time.
template <class Block>
void expect_back_as_the_reference(const Fast& fast) {
  struct Size {
    Index T, I, O;
  };
  for (const auto [T, I, O] :
       {Size{1, 1, 1}, Size{3, 72, 65}, Size{20, 300, 130}, Size{9, 513, 5}}) {
    SCOPED_TRACE("T = " + std::to_string(T) + ", I = " + std::to_string(I) +
                 ", O = " + std::to_string(O));
    const Index r = 3;
    const auto x = random<float, 2>({T, I}, 1), dy = random<float, 2>({T, O}, 2);
    const auto weight = random_blocks<Block>(O, I, 3);
    const RandomLora random_lora(O, I, r, 4);
    const auto lora = random_lora.plain();
    const Linear<QuantizedWeights<Block>> w{weight.view(), {}, &lora};
    auto expected_dx = random<float, 2>({T, I}, 10), dx = random<float, 2>({T, I}, 10),
         expected_da = random<float, 2>({r, I}, 11), da = random<float, 2>({r, I}, 11),
         expected_db = random<float, 2>({r, O}, 12), db = random<float, 2>({r, O}, 12);
    const Lora<HostGradients> expected_dw{expected_da.view(), expected_db.view()},
        dw{da.view(), db.view()};
    linear_backward(reference, x.view(), w, dy.view(), expected_dx.view(), {{}, {}, &expected_dw});
    linear_backward(fast, x.view(), w, dy.view(), dx.view(), {{}, {}, &dw});
    EXPECT_TRUE(close(dx.view(), expected_dx.view(), sums_of(O + r)));
    EXPECT_TRUE(close(da.view(), expected_da.view(), sums_of(T + O)));
    EXPECT_TRUE(close(db.view(), expected_db.view(), sums_of(T + I)));
  }
}
TEST_P(FastQuantizedLinear, GoesBackAsTheReference) {
  expect_back_as_the_reference<Int8Block>(fast);
  expect_back_as_the_reference<Int4Block>(fast);
}

TEST_P(FastQuantizedLinear, RejectsWrongShapes) {
  const Buffer<float, 2> x({2, 300});
  const Buffer<Int8Block, 2> weight({3, 2}), narrow({3, 1});
  Buffer<float, 2> y({2, 3}), short_y({1, 3});
  EXPECT_THROW(linear(fast, x.view(), Linear{narrow.view()}, y.view()), ContractError);
  EXPECT_THROW(linear(fast, x.view(), Linear{weight.view()}, short_y.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
