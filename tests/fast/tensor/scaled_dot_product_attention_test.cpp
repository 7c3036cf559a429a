#include "fast/tensor/scaled_dot_product_attention.h"

#include <cmath>

#include "gemma/prefix_lm_mask.h"
#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

class FastAttention : public OnEveryInstructionSet {
 protected:
  struct Sizes {
    Index T, S, N, K, H;
  };

  void expect_matches_reference(Sizes z, View<const KeyRange, 1> visible, float soft_cap) {
    SCOPED_TRACE("T " + std::to_string(z.T) + ", S " + std::to_string(z.S) + ", N " +
                 std::to_string(z.N) + ", K " + std::to_string(z.K) + ", H " + std::to_string(z.H));
    const auto q = random<float, 3>({z.T, z.N, z.H}, 1);
    const auto k = random<float, 3>({z.S, z.K, z.H}, 2), v = random<float, 3>({z.S, z.K, z.H}, 3);
    const AttentionRule rule{1 / std::sqrt(static_cast<float>(z.H)), soft_cap};
    Buffer<float, 3> expected({z.T, z.N, z.H}), out({z.T, z.N, z.H});
    scaled_dot_product_attention(reference, q.view(), k.view(), v.view(), visible, rule,
                                 expected.view());
    scaled_dot_product_attention(fast, q.view(), k.view(), v.view(), visible, rule, out.view());
    EXPECT_TRUE(close(out.view(), expected.view(), twice(float_sum_of(z.S * z.H, 1))));
  }

  void expect_matches_reference(Sizes z, Index prefix, Index window, float soft_cap) {
    Buffer<KeyRange, 1> visible({z.T});
    for (Index t = 0; t < z.T; ++t) {
      KeyRange keys = visible_keys(z.S - z.T + t, prefix, window);
      keys.end = std::min(keys.end, z.S);
      visible.view()(t) = keys;
    }
    expect_matches_reference(z, std::as_const(visible).view(), soft_cap);
  }
};
INSTANTIATE_TEST_SUITE_P(, FastAttention, kInstructionSets, instruction_set_name);

TEST_P(FastAttention, MatchesReferenceWhereAllKeysAreSeen) {
  for (Index H : {1, 8, 12, 72, 256}) {
    expect_matches_reference({7, 33, 2, 2, H}, {}, kNoSoftCap);
    expect_matches_reference({65, 257, 1, 1, H}, {}, kNoSoftCap);
  }
  expect_matches_reference({3, 1, 2, 1, 513}, {}, kNoSoftCap);
  expect_matches_reference({2, 600, 1, 1, 5}, {}, kNoSoftCap);
}

TEST_P(FastAttention, MatchesReferenceUnderEveryMask) {
  for (Index T : {1, 7, 33, 101}) {
    for (Index prefix : {0, 20}) {
      for (Index window : {Index{1}, Index{6}, kNoWindow}) {
        expect_matches_reference({T, 101, 4, 2, 12}, prefix, window, kNoSoftCap);
        expect_matches_reference({T, 101, 4, 1, 12}, prefix, window, 2);
      }
    }
  }
}

// Few queries and many, with what is no whole register of heads, keys and queries.
TEST_P(FastAttention, AddsBiasesAndShowsMapsAsTheReferenceDoes) {
  struct Biases {
    bool slope, table;
  };
  for (const Index T : {1, 3, 29}) {
    for (const auto& [has_slope, has_table] :
         {Biases{false, false}, Biases{true, false}, Biases{false, true}, Biases{true, true}}) {
      constexpr Index N = 6, K = 2, S = 61, H = 20;
      const auto q = random<float, 3>({T, N, H}, 1);
      const auto k = random<float, 3>({S, K, H}, 2), v = random<float, 3>({S, K, H}, 3);
      const auto slope = random<float, 1>({N}, 4);
      const auto table = random<float, 2>({N, 23}, 5);
      Buffer<KeyRange, 1> visible({T});
      for (Index t = 0; t < T; ++t) visible.view()(t) = {t % 7, S - T + t + 1};
      DistanceBias<> bias{.first_query = S - T, .first_distance = -19};
      if (has_slope) bias.slope = slope.view();
      if (has_table) bias.table = table.view();

      struct Out {
        Buffer<float, 3> mixed, weights;
        Buffer<float, 2> log_sum_exp;
      };
      const auto run = [&](const auto& on) {
        Out out{Buffer<float, 3>({T, N, H}), Buffer<float, 3>({T, N, S}), Buffer<float, 2>({T, N})};
        std::fill_n(out.weights.view().data(), T * N * S, NAN);
        scaled_dot_product_attention(on, q.view(), k.view(), v.view(),
                                     std::as_const(visible).view(), {0.2f, 3}, out.mixed.view(),
                                     bias, {out.weights.view(), out.log_sum_exp.view()});
        return out;
      };
      const Out expected = run(reference), out = run(fast);
      const Tolerance tolerance = twice(float_sum_of(S * H, 1));
      SCOPED_TRACE("T " + std::to_string(T) + (has_slope ? ", slopes" : "") +
                   (has_table ? ", a table" : ""));
      EXPECT_TRUE(close(out.mixed.view(), expected.mixed.view(), tolerance));
      EXPECT_TRUE(close(out.weights.view(), expected.weights.view(), tolerance));
      EXPECT_TRUE(close(out.log_sum_exp.view(), expected.log_sum_exp.view(), tolerance));
    }
  }
}

TEST_P(FastAttention, DoesNotOverflow) {
  Buffer<float, 3> q({1, 1, 1}), k({2, 1, 1}), v({2, 1, 1}), out({1, 1, 1});
  q.view()(0, 0, 0) = 1;
  k.view()(0, 0, 0) = 300, k.view()(1, 0, 0) = 299;
  v.view()(0, 0, 0) = 1;
  scaled_dot_product_attention(fast, q.view(), k.view(), v.view(), {}, {1}, out.view());
  EXPECT_NEAR(out.view()(0, 0, 0), 1 / (1 + std::exp(-1.0)), 1e-6);  // two exponentials, a quotient
}

TEST_P(FastAttention, RejectsWrongShapes) {
  const Buffer<float, 3> q({2, 3, 4}), k({5, 2, 4}), v({5, 2, 4});
  Buffer<float, 3> out({2, 3, 4});
  EXPECT_THROW(
      scaled_dot_product_attention(fast, q.view(), k.view(), v.view(), {}, {1}, out.view()),
      ContractError);
}

}  // namespace
}  // namespace paligemma
