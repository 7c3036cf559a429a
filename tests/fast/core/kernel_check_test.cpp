#include "fast/core/kernel_check.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>

#include "tests/support/instruction_sets.h"
#include "tests/support/wrong_kernels.h"

namespace paligemma {
namespace {

using namespace test;

class KernelCheck : public OnEveryInstructionSet {};
INSTANTIATE_TEST_SUITE_P(, KernelCheck, kInstructionSets, instruction_set_name);

TEST_P(KernelCheck, PassesWhatComputesTheSame) {
  EXPECT_EQ(failed_check(fast.kernels()), "");
  EXPECT_EQ(failed_check_apart(fast.kernels()), "");
}

void expect_failure(const Kernels& wrong, const std::string& part) {
  EXPECT_NE(failed_check(wrong).find(part), std::string::npos)
      << failed_check(wrong) << ", expected: " << part;
  EXPECT_EQ(failed_check_apart(wrong), failed_check(wrong));
}

// The right product, but for the last number of one kind.
template <class Weight, auto Member, Index T, bool Gate, bool Gelu>
void almost(const Fast& on, const LinearWork<Weight>& w) {
  (portable().linear.*Member)(on, w);
  if (w.T == T && (w.gate != nullptr) == Gate && w.gelu == Gelu) {
    float& last = w.y[(w.T - 1) * w.y_stride + w.O - 1];
    last += last == 0 ? 1 : last * 0x1p-7f;
  }
}
template <class Weight, auto Member>
void expect_each_failure(const std::string& type) {
  const auto expect = [&](auto kernel, const std::string& what) {
    const Kernels wrong = portable_but([=](Kernels& kernels) { kernels.linear.*Member = kernel; });
    EXPECT_EQ(failed_check(wrong), type + " weights, " + what);
  };
  expect(almost<Weight, Member, 2, false, false>, "few rows");
  expect(almost<Weight, Member, 2, true, false>, "few rows, a gate");
  expect(almost<Weight, Member, 2, false, true>, "few rows, GELU");
  expect(almost<Weight, Member, 2, true, true>, "few rows, a gate and GELU");
  expect(almost<Weight, Member, 9, false, false>, "many rows");
  expect(almost<Weight, Member, 9, true, false>, "many rows, a gate");
  expect(almost<Weight, Member, 9, false, true>, "many rows, GELU");
  expect(almost<Weight, Member, 9, true, true>, "many rows, a gate and GELU");
  expect(almost<Weight, Member, 37, false, false>, "very many rows");
}

TEST(KernelCheckOf, ProductsNoticesAWrongOne) {
  expect_each_failure<float, &LinearKernels::f32>("f32");
  expect_each_failure<bf16, &LinearKernels::bf16>("bf16");
  expect_each_failure<f16, &LinearKernels::f16>("f16");
  expect_each_failure<Int8Block, &LinearKernels::int8>("int8");
  expect_each_failure<Int4Block, &LinearKernels::int4>("int4");
}

// The right sums, but for the last one.
void almost_adapted(const Fast& on, const RemainderWork& w) {
  portable().linear.remainder(on, w);
  w.y[(w.T - 1) * w.y_stride + w.O - 1] += 1;
}
template <Index T>
void forgets_the_gates_adapter(const Fast& on, const LinearWork<Int4Block>& w) {
  LinearWork<Int4Block> some = w;
  if (w.T == T) some.gate_remainder.low = nullptr, some.gate_remainder.rank = 0;
  portable().linear.int4(on, some);
}
TEST(KernelCheckOf, AdaptersNoticesAWrongOne) {
  const auto with = [](auto member, auto kernel) {
    return portable_but([=](Kernels& kernels) { kernels.linear.*member = kernel; });
  };
  EXPECT_EQ(failed_check(with(&LinearKernels::remainder, almost_adapted)), "an adapter");
  const auto forgetting = [&](auto kernel) {
    return failed_check(with(&LinearKernels::int4, kernel));
  };
  EXPECT_EQ(forgetting(forgets_the_gates_adapter<2>),
            "int4 weights, few rows, adapters and a gate");
  EXPECT_EQ(forgetting(forgets_the_gates_adapter<9>),
            "int4 weights, many rows, adapters and a gate");
}

// What would be seen beyond a panel's features or the first cache alone.
template <Index T>
void forgets_the_last_feature(const Fast& on, const LinearWork<bf16>& w) {
  portable().linear.bf16(on, w);
  if (w.T == T && w.I > 4096) w.y[0] -= w.x[w.I - 1] * widen(w.weight[w.I - 1]);
}
void writes_behind_the_row(const Fast& on, const LinearWork<float>& w) {
  portable().linear.f32(on, w);
  w.y[w.O] = 0;
}

TEST(KernelCheckOf, ProductsNoticesManyFeaturesAndWhatIsBeside) {
  const auto with = [](auto member, auto kernel) {
    return portable_but([=](Kernels& kernels) { kernels.linear.*member = kernel; });
  };
  expect_failure(with(&LinearKernels::bf16, forgets_the_last_feature<2>),
                 "few rows of many features");
  expect_failure(with(&LinearKernels::bf16, forgets_the_last_feature<9>),
                 "many rows of many features");
  expect_failure(with(&LinearKernels::f32, writes_behind_the_row), "f32 weights, few rows");
}

// What it does to the work of so many queries before it is done.
template <Index T, void (*Spoil)(AttentionWork&)>
void spoilt(const Fast& on, const AttentionWork& work) {
  AttentionWork w = work;
  if (w.T == T) Spoil(w);
  portable().attention(on, w);
}
void forget_a_key(AttentionWork& w) { --w.S; }
void forget_the_mask(AttentionWork& w) { w.visible = nullptr; }
void forget_the_cap(AttentionWork& w) { w.rule.soft_cap = kNoSoftCap; }
void forget_slopes(AttentionWork& w) { w.bias.slope = nullptr; }
void forget_tables(AttentionWork& w) { w.bias.table = nullptr; }

TEST(KernelCheckOf, AttentionNoticesAWrongOne) {
  const auto with = [](AttentionKernel kernel) {
    return portable_but([=](Kernels& kernels) { kernels.attention = kernel; });
  };
  expect_failure(with(spoilt<1, forget_a_key>), "one query");
  expect_failure(with(spoilt<3, forget_the_mask>), "few queries");
  expect_failure(with(spoilt<3, forget_slopes>), "few queries, a bias");
  expect_failure(with(spoilt<3, forget_tables>), "few queries, a bias");
  expect_failure(with(spoilt<23, forget_slopes>), "many queries, slopes");
  expect_failure(with(spoilt<23, forget_tables>), "many queries, a table");
  expect_failure(with(spoilt<23, forget_a_key>), "many queries");
  expect_failure(with(spoilt<23, forget_the_mask>), "a mask and a cap");
  expect_failure(with(spoilt<23, forget_the_cap>), "a mask and a cap");
}

TEST(KernelCheckOf, LogitsNoticesAWrongOne) {
  expect_failure(portable_but([](Kernels& kernels) {
                   kernels.logits.max = [](const float* logits, Index count) {
                     return portable().logits.max(logits, count - 1);
                   };
                 }),
                 "largest");
  expect_failure(portable_but([](Kernels& kernels) {
                   kernels.logits.max = [](const float* logits, Index count) {
                     const float max = portable().logits.max(logits, count);
                     return max == INFINITY ? 1.0f : max;  // a NaN is passed over
                   };
                 }),
                 "largest");
  expect_failure(portable_but([](Kernels& kernels) {
                   kernels.logits.sum_exp = [](const float* logits, Index count, float max) {
                     return portable().logits.sum_exp(logits, count, max) * (1 + 0x1p-17);
                   };
                 }),
                 "sum");
  expect_failure(portable_but([](Kernels& kernels) {
                   kernels.logits.sum_exp = [](const float*, Index, float) -> double {
                     return NAN;
                   };
                 }),
                 "sum");
  expect_failure(portable_but([](Kernels& kernels) {
                   kernels.logits.soft_cap = [](float cap, float* logits, Index count) {
                     portable().logits.soft_cap(cap, logits, count - 1);
                   };
                 }),
                 "capped");
}

TEST(KernelCheckOf, AProcessorWithoutAnInstructionNoticesIt) {
  const Kernels wrong = portable_but([](Kernels& kernels) {
    kernels.attention = [](const Fast&, const AttentionWork& w) {
      if (w.T > 1) raise(SIGILL);
      w.out[0] = 0;
    };
  });
  EXPECT_EQ(failed_check_apart(wrong), "attention, one query");
  const Kernels illegal = portable_but([](Kernels& kernels) {
    kernels.linear.int8 = [](const Fast&, const LinearWork<Int8Block>&) { raise(SIGILL); };
  });
  EXPECT_EQ(failed_check_apart(illegal), "int8 weights, few rows");
}

// Whoever kills it, for its memory, say, has proven nothing.
TEST(KernelCheckOf, AChildThatSaysNothingIsAFailure) {
  static bool is_killed = true;
  ::pthread_atfork(nullptr, nullptr, [] {
    if (is_killed) ::_exit(1);
  });
  EXPECT_EQ(failed_check_apart(portable()), "the beginning");
  is_killed = false;
  EXPECT_EQ(failed_check_apart(portable()), "");
}

// Of this process's children, user's and system's.
double child_seconds() {
  rusage used{};
  getrusage(RUSAGE_CHILDREN, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// 50 ms are promised, of an idle processor. A busy one takes several times as long now and then, even of its
// own time, so the best of some tries counts; the sanitizers' build takes five times as long always.
TEST(KernelCheckOf, TheBestKernelsIsShort) {
  double least = INFINITY;
  for (int i = 0; i < 5; ++i) {
    const double before = child_seconds();
    failed_check_apart(best_kernels());
    least = std::min(least, child_seconds() - before);
  }
  EXPECT_LT(least, 0.4);
}

}  // namespace
}  // namespace paligemma
