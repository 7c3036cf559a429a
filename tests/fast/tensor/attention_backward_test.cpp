#include <algorithm>
#include <cmath>
#include <utility>

#include "fast/tensor/scaled_dot_product_attention.h"
#include "gemma/prefix_lm_mask.h"
#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

// Numbers by chance; as columns of a wider matrix, or as a stretch of memory.
template <int Rank>
struct Tensor {
  Buffer<float, Rank> memory;
  View<float, Rank> view;

  Tensor(std::array<Index, Rank> shape, unsigned seed, bool wide)
      : memory(with_more_columns(shape, wide)),
        view(memory.view().data(), shape, memory.view().stride()) {
    const auto numbers = random<float, Rank>(shape, seed);
    for (Index i = 0; i < view.count(); ++i) at(i) = numbers.view().data()[i];
  }
  Buffer<float, Rank> flat() {
    Buffer<float, Rank> numbers(view.shape());
    for (Index i = 0; i < view.count(); ++i) numbers.view().data()[i] = at(i);
    return numbers;
  }

 private:
  static std::array<Index, Rank> with_more_columns(std::array<Index, Rank> shape, bool wide) {
    if (wide) shape[1] += 3;
    return shape;
  }
  float& at(Index i) {
    const Index row = view.count() / view.size(0);
    return view.data()[i / row * view.stride()[0] + i % row];
  }
};

class FastAttentionBackward : public OnEveryInstructionSet {
 protected:
  struct Sizes {
    Index T, S, N, K, H;
  };
  struct Gradients {
    Buffer<float, 3> q, k, v;
  };
  static constexpr int kTensors = 9, kNone = -1;

  // Of the nine tensors one may be `wide`. Gradients are added to numbers by chance.
  template <class On>
  static Gradients run(const On& on, Sizes z, View<const KeyRange, 1> visible, AttentionRule rule,
                       int wide = kNone) {
    const std::array<Index, 3> rows{z.T, z.N, z.H}, keys{z.S, z.K, z.H};
    const Tensor<3> q(rows, 1, wide == 0), k(keys, 2, wide == 1), v(keys, 3, wide == 2),
        dout(rows, 4, wide == 3);
    Buffer<float, 2> sums({z.T, z.N});
    Tensor<3> out(rows, 5, wide == 4), dq(rows, 6, wide == 5), dk(keys, 7, wide == 6),
        dv(keys, 8, wide == 7);
    scaled_dot_product_attention(reference, q.view, k.view, v.view, visible, rule, out.view, {},
                                 {.log_sum_exp = sums.view()});
    Tensor<2> log_sum_exp({z.T, z.N}, 9, wide == 8);
    copy(reference, std::as_const(sums).view(), log_sum_exp.view);
    scaled_dot_product_attention_backward(
        on, {q.view, k.view, v.view, visible, rule, out.view, log_sum_exp.view}, dout.view,
        {dq.view, dk.view, dv.view});
    return {dq.flat(), dk.flat(), dv.flat()};
  }

  // Counted in roundings of 1:
  //
  //   sum      of H products, whose magnitudes are H / 4 together, by 1 / sqrt(H): a score, a part of dscores
  //   weight   its score's, the subtraction of a log-sum-exp below 8, an exponential within 2 ulp; tanh is within 2^-19
  //   dscore   dweights and dout . out are two sums, and their difference by 1 / sqrt(H) is below 2
  //
  // The weights of a query sum up to 1, those of a key over T queries to 1 + log T, of some heads.
  static void expect_alike(const Gradients& actual, const Gradients& expected, Sizes z,
                           bool capped) {
    const auto over = [](Index n) { return 2 * std::sqrt(static_cast<double>(n)) + 4; };
    const double sum = over(z.H) * std::sqrt(static_cast<double>(z.H)) / 4,
                 weight = sum + 8 + 4 + (capped ? 64 : 0), dscore = 2 * sum + 2 * weight;
    const double heads = static_cast<double>(z.N) / static_cast<double>(z.K),
                 of_a_key = heads * (1 + std::log(static_cast<double>(z.T)));
    const auto roundings = [](double n) { return twice({4 * kUnitRoundoff, n * kUnitRoundoff}); };
    const Index queries = z.T * z.N / z.K;
    EXPECT_TRUE(close(actual.q.view(), expected.q.view(), roundings(dscore + 2 * over(z.S))));
    EXPECT_TRUE(close(actual.k.view(), expected.k.view(),
                      roundings(of_a_key * (dscore + 2 * over(queries)))));
    EXPECT_TRUE(
        close(actual.v.view(), expected.v.view(), roundings(of_a_key * (weight + over(queries)))));
  }
  void expect_matches_reference(Sizes z, View<const KeyRange, 1> visible, float soft_cap,
                                int wide = kNone) {
    SCOPED_TRACE("T = " + std::to_string(z.T) + ", S = " + std::to_string(z.S) +
                 ", N = " + std::to_string(z.N) + ", K = " + std::to_string(z.K) +
                 ", H = " + std::to_string(z.H));
    const AttentionRule rule{1 / std::sqrt(static_cast<float>(z.H)), soft_cap};
    expect_alike(run(fast, z, visible, rule, wide), run(reference, z, visible, rule), z,
                 soft_cap != kNoSoftCap);
  }

  static Buffer<KeyRange, 1> ranges(Index T, Index S, Index prefix, Index window) {
    Buffer<KeyRange, 1> visible({T});
    for (Index t = 0; t < T; ++t) {
      KeyRange keys = visible_keys(S - T + t, prefix, window);
      keys.end = std::min(keys.end, S);
      visible.view()(t) = keys;
    }
    return visible;
  }
};
INSTANTIATE_TEST_SUITE_P(, FastAttentionBackward, kInstructionSets, instruction_set_name);

// 64 queries are taken at a time, and panels of at most 48 keys.
TEST_P(FastAttentionBackward, MatchesReferenceWhereAllKeysAreSeen) {
  for (const Index H : {1, 20, 72}) {
    for (const float cap : {kNoSoftCap, 0.5f}) {
      expect_matches_reference({1, 1, 1, 1, H}, {}, cap);
      expect_matches_reference({7, 33, 4, 2, H}, {}, cap);
      expect_matches_reference({65, 130, 2, 1, H}, {}, cap);
    }
  }
  expect_matches_reference({20, 20, 2, 1, 256}, {}, kNoSoftCap);
}

TEST_P(FastAttentionBackward, MatchesReferenceUnderEveryMask) {
  for (const Index T : {1, 33, 101}) {
    for (const Index prefix : {0, 20}) {
      for (const Index window : {Index{1}, Index{6}, kNoWindow}) {
        const auto visible = ranges(T, 101, prefix, window);
        expect_matches_reference({T, 101, 4, 1, 12}, visible.view(), kNoSoftCap);
      }
    }
  }
}

// Then it is the reference that goes back.
TEST_P(FastAttentionBackward, LeavesOutWhatTheReferenceLeavesOut) {
  const Sizes z{7, 33, 4, 2, 8};
  const AttentionRule rule{0.3f, kNoSoftCap, {.rate = 0.3f, .seed = 1}};
  const Gradients actual = run(fast, z, {}, rule), expected = run(reference, z, {}, rule);
  EXPECT_TRUE(close(actual.q.view(), expected.q.view(), kExact));
  EXPECT_TRUE(close(actual.k.view(), expected.k.view(), kExact));
  EXPECT_TRUE(close(actual.v.view(), expected.v.view(), kExact));
}

// Each of the tensors alone, and the ranges.
TEST_P(FastAttentionBackward, TakesColumnsOfAWiderMatrix) {
  const Sizes z{7, 33, 4, 2, 8};
  for (int wide = 0; wide < kTensors; ++wide) {
    expect_matches_reference(z, {}, kNoSoftCap, wide);
  }
  Buffer<KeyRange, 2> pairs({7, 2});
  for (Index t = 0; t < 7; ++t) {
    pairs.view()(t, 0) = {t, t + 20};
    pairs.view()(t, 1) = {0, 1};
  }
  expect_matches_reference(z, View<const KeyRange, 1>(pairs.view().data(), {7}, {2}), kNoSoftCap);
}

// Whoever takes which head.
TEST_P(FastAttentionBackward, GivesTheSameBitsByAnyNumberOfThreads) {
  const Sizes z{65, 65, 4, 1, 20};
  const Fast alone({.kernels = &fast.kernels(), .threads = 1});
  const Gradients one = run(alone, z, {}, {0.2f}), other = run(fast, z, {}, {0.2f});
  EXPECT_TRUE(close(one.q.view(), other.q.view(), kExact));
  EXPECT_TRUE(close(one.k.view(), other.k.view(), kExact));
  EXPECT_TRUE(close(one.v.view(), other.v.view(), kExact));
}

TEST_P(FastAttentionBackward, RejectsWrongShapes) {
  Buffer<float, 3> rows({2, 4, 6}), keys({5, 2, 6}), few({1, 4, 6}), more({6, 2, 6});
  Buffer<float, 2> sums({2, 4}), few_sums({1, 4});
  const auto backward = [&](const auto& dout, const auto& log_sum_exp, auto& dq, auto& dk,
                            auto& dv) {
    scaled_dot_product_attention_backward(
        fast, {rows.view(), keys.view(), keys.view(), {}, {1}, rows.view(), log_sum_exp.view()},
        dout.view(), {dq.view(), dk.view(), dv.view()});
  };
  EXPECT_NO_THROW(backward(rows, sums, rows, keys, keys));
  EXPECT_THROW(backward(few, sums, rows, keys, keys), ContractError);
  EXPECT_THROW(backward(rows, few_sums, rows, keys, keys), ContractError);
  EXPECT_THROW(backward(rows, sums, few, keys, keys), ContractError);
  EXPECT_THROW(backward(rows, sums, rows, more, keys), ContractError);
  EXPECT_THROW(backward(rows, sums, rows, keys, more), ContractError);
}

}  // namespace
}  // namespace paligemma
