// Kernels that only learning uses are proven with the others (fast/core/kernel_check.h).
#include <gtest/gtest.h>

#include <string>
#include <type_traits>

#include "fast/core/kernel_check.h"
#include "tests/support/wrong_kernels.h"

namespace paligemma {
namespace {

using namespace test;

// The right sums, but for the last one.
template <class Number, auto Member, bool ByColumns>
void almost_back(const Fast& on, const ProductWork<Number>& w) {
  (portable().backward.*Member)(on, w);
  if ((w.a_row == 1) == ByColumns) w.y[w.M * w.N - 1] += 1;
}
template <class Number, auto Member>
void expect_each_failure_back(const std::string& type) {
  const auto expect = [&](auto kernel, const std::string& what) {
    const Kernels wrong =
        portable_but([=](Kernels& kernels) { kernels.backward.*Member = kernel; });
    EXPECT_EQ(failed_check(wrong), type + " numbers, the way back by " + what);
  };
  expect(almost_back<Number, Member, false>, "rows");
  if (std::is_same_v<Number, float>) expect(almost_back<Number, Member, true>, "columns");
}
TEST(KernelCheckOf, TheWayBackNoticesAWrongOne) {
  expect_each_failure_back<float, &ProductKernels::f32>("f32");
  expect_each_failure_back<bf16, &ProductKernels::bf16>("bf16");
  expect_each_failure_back<f16, &ProductKernels::f16>("f16");
}

// The right numbers, but for one.
template <auto Change>
Kernels with_gelu() {
  return portable_but([](Kernels& kernels) {
    kernels.gelu.forward = [](const Fast& on, const GeluWork& w) {
      portable().gelu.forward(on, w);
      Change(w);
    };
  });
}
template <auto Change>
Kernels with_slope() {
  return portable_but([](Kernels& kernels) {
    kernels.gelu.backward = [](const Fast& on, const GeluBackwardWork& w) {
      portable().gelu.backward(on, w);
      Change(w);
    };
  });
}
TEST(KernelCheckOf, GeluNoticesAWrongOne) {
  constexpr auto last = [](const GeluWork& w) {
    if (w.up == nullptr) w.y[w.count - 1] += 0x1p-12f;
  };
  constexpr auto gated = [](const GeluWork& w) {
    if (w.up != nullptr) w.y[w.count - 1] += 0x1p-12f;
  };
  constexpr auto beside = [](const GeluWork& w) { w.y[w.count] = 0; };
  EXPECT_EQ(failed_check(with_gelu<last>()), "GELU");
  EXPECT_EQ(failed_check(with_gelu<gated>()), "GELU, a gate");
  EXPECT_EQ(failed_check(with_gelu<beside>()), "GELU");
}
TEST(KernelCheckOf, GelusWayBackNoticesAWrongOne) {
  constexpr auto last = [](const GeluBackwardWork& w) {
    if (w.up == nullptr) w.dx[w.count - 1] += 0x1p-12f;
  };
  constexpr auto gate = [](const GeluBackwardWork& w) {
    if (w.up != nullptr) w.dx[w.count - 1] += 0x1p-12f;
  };
  constexpr auto up = [](const GeluBackwardWork& w) {
    if (w.up != nullptr) w.dup[w.count - 1] += 0x1p-12f;
  };
  constexpr auto beside = [](const GeluBackwardWork& w) {
    if (w.up != nullptr) w.dup[w.count] = 0;
  };
  EXPECT_EQ(failed_check(with_slope<last>()), "the way back of GELU");
  EXPECT_EQ(failed_check(with_slope<gate>()), "the way back of GELU, a gate");
  EXPECT_EQ(failed_check(with_slope<up>()), "the way back of GELU, a gate");
  EXPECT_EQ(failed_check(with_slope<beside>()), "the way back of GELU, a gate");
}

// What it does to the work before it is done.
template <auto Spoil>
Kernels with_attention() {
  return portable_but([](Kernels& kernels) {
    kernels.attention_backward = [](const Fast& on, const AttentionBackwardWork& work) {
      AttentionBackwardWork w = work;
      Spoil(w);
      portable().attention_backward(on, w);
    };
  });
}
TEST(KernelCheckOf, AttentionsWayBackNoticesAWrongOne) {
  constexpr auto forget_a_key = [](AttentionBackwardWork& w) { --w.S; };
  constexpr auto forget_a_query = [](AttentionBackwardWork& w) { --w.T; };
  constexpr auto forget_the_mask = [](AttentionBackwardWork& w) { w.visible = nullptr; };
  constexpr auto forget_the_cap = [](AttentionBackwardWork& w) { w.rule.soft_cap = kNoSoftCap; };
  constexpr auto forget_the_mean = [](AttentionBackwardWork& w) { w.out = w.q; };
  EXPECT_EQ(failed_check(with_attention<forget_a_key>()), "the way back of attention");
  EXPECT_EQ(failed_check(with_attention<forget_a_query>()), "the way back of attention");
  EXPECT_EQ(failed_check(with_attention<forget_the_mean>()), "the way back of attention");
  EXPECT_EQ(failed_check(with_attention<forget_the_mask>()),
            "the way back of attention, a mask and a cap");
  EXPECT_EQ(failed_check(with_attention<forget_the_cap>()),
            "the way back of attention, a mask and a cap");
}
template <Index AttentionBackwardWork::*Count, int Of>
void adds_to_the_last(const Fast& on, const AttentionBackwardWork& w) {
  portable().attention_backward(on, w);
  float* const d[] = {w.dq, w.dk, w.dv};
  d[Of][w.*Count * w.N * w.H - 1] += 0x1p-8f;
}
TEST(KernelCheckOf, AttentionsWayBackNoticesEachGradient) {
  const auto with = [](AttentionBackwardKernel kernel) {
    return portable_but([=](Kernels& kernels) { kernels.attention_backward = kernel; });
  };
  EXPECT_EQ(failed_check(with(adds_to_the_last<&AttentionBackwardWork::T, 0>)),
            "the way back of attention");
  EXPECT_EQ(failed_check(with(adds_to_the_last<&AttentionBackwardWork::S, 1>)),
            "the way back of attention");
  EXPECT_EQ(failed_check(with(adds_to_the_last<&AttentionBackwardWork::S, 2>)),
            "the way back of attention");
}

template <auto Change>
Kernels with_exponentials() {
  return portable_but([](Kernels& kernels) {
    kernels.logits.scaled_exp = [](const float* logits, Index count, float shift, float factor,
                                   float* y) {
      portable().logits.scaled_exp(logits, count, shift, factor, y);
      Change(y, count);
    };
  });
}
TEST(KernelCheckOf, ExponentialsNoticesAWrongOne) {
  constexpr auto first = [](float* y, Index) { y[0] += 0x1p-16f; };
  constexpr auto last = [](float* y, Index count) { y[count - 1] *= 1 + 0x1p-10f; };
  constexpr auto beside = [](float* y, Index count) { y[count] = 0; };
  EXPECT_EQ(failed_check(with_exponentials<first>()), "exponentials of logits");
  EXPECT_EQ(failed_check(with_exponentials<last>()), "exponentials of logits");
  EXPECT_EQ(failed_check(with_exponentials<beside>()), "exponentials of logits");
}

}  // namespace
}  // namespace paligemma
