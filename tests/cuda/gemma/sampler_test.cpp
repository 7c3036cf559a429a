#include "cuda/gemma/sampler.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "cuda/core/graph.h"
#include "tensor/philox.h"
#include "tensor/softmax.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::Sampled;
using cuda::SamplerKernel;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr SamplerKernel kKernels[] = {SamplerKernel::one_thread, SamplerKernel::one_block,
                                      SamplerKernel::many_blocks};

// Multiples of 1/64 between -reach and reach: many are equal, and those that are not are far enough
// apart for their exponentials to be so by more than rounding.
Buffer<float, 1> steps_of_64th(Index V, float reach, unsigned seed) {
  auto logits = random<float, 1>({V}, seed);
  for (Index v = 0; v < V; ++v) {
    logits.view()(v) = std::floor(logits.view()(v) * reach * 64) / 64;
  }
  return logits;
}

// Which ids the definition allows where the numbers that it compares are as good as equal. A
// probability is the result of an exp (2 roundings at most), a division (1) and a sum; on either
// side. In the share of the mass behind a token the sum cancels. On the CPU, it is one of V floats.
class Definition {
 public:
  Definition(View<const float, 1> logits, const SamplerOptions& options)
      : options_(options), p_({logits.size(0)}), order_(logits.size(0)) {
    const Index V = logits.size(0);
    const float max = *std::max_element(logits.data(), logits.data() + V);
    for (Index v = 0; v < V; ++v) p_.view()(v) = (logits(v) - max) / options.temperature;
    const View<float, 2> row(p_.view().data(), {1, V});
    softmax(reference, row, row);
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](TokenId a, TokenId b) { return p_.view()(a) > p_.view()(b); });
  }

  bool allows(TokenId id, std::uint64_t step) const {
    const Index V = p_.view().size(0);
    const double tie = twice(float_operations(4)).relative;
    const double sum_tie = tie + twice(float_sum_of(V)).relative;
    const double u = philox_uniform(options_.seed, step);
    const double behind = mass_before(id), with = behind + p_.view()(id);
    const Index most = options_.top_k > 0 ? std::min(options_.top_k, V) : V;
    double mass = 0;
    for (Index kept = 1; kept <= most; ++kept) {
      mass += p_.view()(order_[static_cast<std::size_t>(kept - 1)]);
      const bool may_end = kept == most || mass > options_.top_p * (1 - sum_tie);
      if (may_end && u * mass >= behind - tie * mass && u * mass <= with + tie * mass) return true;
      if (options_.top_p < 1 && mass > options_.top_p * (1 + sum_tie)) return false;
    }
    return false;
  }

 private:
  double mass_before(TokenId id) const {
    double mass = 0;
    for (TokenId other : order_) {
      if (other == id) break;
      mass += p_.view()(other);
    }
    return mass;
  }

  SamplerOptions options_;
  Buffer<float, 1> p_;
  std::vector<TokenId> order_;
};

class CudaSampler : public CudaTest {
 protected:
  static Sampled sample_there(const cuda::Stream& stream, DeviceView<const float, 1> logits,
                              const SamplerOptions& options, std::uint64_t step,
                              SamplerKernel kernel) {
    const auto step_there = to_device(stream, View<const std::uint64_t, 1>(&step, {1}));
    cuda::DeviceBuffer<Sampled, 1> out({1});
    sample(stream, logits, options, step_there.view(), out.view(), kernel);
    Sampled sampled;
    copy_to_host(stream, &sampled, out.view().data(), sizeof sampled);
    stream.wait();
    return sampled;
  }

  static void expect_log_probability(const Sampled& sampled, View<const float, 1> logits) {
    const auto actual = vector_of({sampled.log_probability});
    const auto expected = vector_of({log_probability(reference, logits, sampled.id)});
    EXPECT_TRUE(close(actual.view(), expected.view(), twice(float_sum_of(logits.size(0), 1))));
  }

  static void expect_largest(Index V, Index largest, SamplerKernel kernel) {
    auto logits = random<float, 1>({V}, 1);
    logits.view()(largest) = 1.5f;
    const cuda::Stream stream;
    const auto there = to_device(stream, logits.view());
    const Sampled sampled = sample_there(stream, there.view(), {}, 0, kernel);
    EXPECT_EQ(sampled.id, largest);
    EXPECT_EQ(sampled.problem, Sampled::kFine);
    expect_log_probability(sampled, logits.view());
  }

  // `draws` steps, under a new seed every four of them, give the reference's tokens.
  static void expect_draws(View<const float, 1> logits, SamplerOptions options,
                           SamplerKernel kernel, int draws) {
    const cuda::Stream stream;
    const auto there = to_device(stream, logits);
    int as_good = 0;
    for (int step = 0; step < draws; ++step) {
      options.seed = 7 + static_cast<std::uint64_t>(step) / 4;
      const auto s = static_cast<std::uint64_t>(step);
      const Sampled sampled = sample_there(stream, there.view(), options, s, kernel);
      ASSERT_EQ(sampled.problem, Sampled::kFine);
      ASSERT_TRUE(0 <= sampled.id && sampled.id < logits.size(0));
      expect_log_probability(sampled, logits);
      const TokenId expected = sample(reference, logits, options, s);
      if (sampled.id == expected) continue;
      ++as_good;
      EXPECT_TRUE(Definition(logits, options).allows(sampled.id, s))
          << "token " << sampled.id << ", expected " << expected << ", of " << logits.size(0)
          << ", temperature " << options.temperature << ", top_k " << options.top_k << ", top_p "
          << options.top_p << ", step " << step;
    }
    EXPECT_LE(as_good, draws / 8) << "ties should be rare";
  }
};

// ---- greedy -------------------------------------------------------------------------------------

// Each place may hold the largest: the first, the last, any stretch's.
TEST_F(CudaSampler, GreedyTakesTheLargest) {
  for (SamplerKernel kernel : kKernels) {
    for (Index V : {1, 7, 255, 257, 1856}) {
      for (Index largest : {Index{0}, V / 2, V - 1}) expect_largest(V, largest, kernel);
    }
  }
}

TEST_F(CudaSampler, GreedyTakesTheLargestInEveryOrderOfThreads) {
  for (SamplerKernel kernel : kKernels) {
    in_every_order([&] { expect_largest(2049, 1500, kernel); });
  }
}

TEST_F(CudaSampler, GreedyTakesTheLargestOfTheModelsVocabulary) {
  auto logits = random<float, 1>({257216}, 1);
  for (Index v = 0; v < 257216; ++v) logits.view()(v) *= 8;
  const cuda::Stream stream;
  const auto there = to_device(stream, logits.view());
  for (SamplerKernel kernel : kKernels) {
    const Sampled sampled = sample_there(stream, there.view(), {}, 0, kernel);
    EXPECT_EQ(sampled.id, sample(reference, logits.view(), {}, 0));
    expect_log_probability(sampled, logits.view());
  }
}

TEST_F(CudaSampler, GreedyTakesTheLowestIdOfEquals) {
  const cuda::Stream stream;
  auto far_apart = steps_of_64th(2500, 1, 1);
  for (Index v : {700, 1500, 2400}) far_apart.view()(v) = 3;
  const auto negative = vector_of({-5, -1, -2, -1}), zeros = vector_of({-0.0, 0.0, -0.0});
  const auto signs = vector_of({-3, 2, -4, 2, 1});
  for (SamplerKernel kernel : kKernels) {
    for (const Buffer<float, 1>* logits : {&std::as_const(far_apart), &negative, &zeros, &signs}) {
      const auto there = to_device(stream, logits->view());
      EXPECT_EQ(sample_there(stream, there.view(), {}, 0, kernel).id,
                sample(reference, logits->view(), {}, 0));
    }
  }
}

// ---- drawn --------------------------------------------------------------------------------------

// docs/gemma/sampler.md, "By hand".
TEST_F(CudaSampler, WorkedExample) {
  const auto logits = vector_of({1.3862944, 4.1588831, 2.7725887, 0});
  const SamplerOptions options{.temperature = 2, .top_k = 3, .top_p = 0.7f, .seed = 1};
  const cuda::Stream stream;
  const auto there = to_device(stream, logits.view());
  for (SamplerKernel kernel : kKernels) {
    in_every_order([&] {
      EXPECT_EQ(sample_there(stream, there.view(), options, 0, kernel).id, 2);
      EXPECT_EQ(sample_there(stream, there.view(), options, 2, kernel).id, 1);
    });
  }
}

constexpr SamplerOptions kRules[] = {
    {.temperature = 1},
    {.temperature = 0.7f, .top_k = 1},
    {.temperature = 1, .top_k = 2},
    {.temperature = 2, .top_k = 50},
    {.temperature = 1, .top_p = 0},
    {.temperature = 0.5f, .top_p = 0.3f},
    {.temperature = 1, .top_p = 0.9f},
    {.temperature = 1.5f, .top_k = 50, .top_p = 0.9f},
    {.temperature = 1, .top_k = 5000, .top_p = 0.99f},
};

TEST_F(CudaSampler, OneThreadDrawsTheReferencesToken) {
  for (Index V : {1, 7, 255, 257})
    for (float reach : {0.5f, 4.0f}) {
      const auto logits = steps_of_64th(V, reach, 1);
      for (const auto& options : kRules)
        expect_draws(logits.view(), options, SamplerKernel::one_thread, 8);
    }
}

TEST_F(CudaSampler, OneBlockDrawsTheReferencesToken) {
  for (Index V : {257, 1856}) {
    const auto logits = steps_of_64th(V, 4, 1);
    for (const auto& options : kRules)
      expect_draws(logits.view(), options, SamplerKernel::one_block, 1);
  }
}

TEST_F(CudaSampler, ManyBlocksDrawTheReferencesTokenOfFew) {
  for (Index V : {1, 7, 255}) {
    const auto logits = steps_of_64th(V, 4, 1);
    for (const auto& options : kRules)
      expect_draws(logits.view(), options, SamplerKernel::many_blocks, 1);
  }
}

TEST_F(CudaSampler, ManyBlocksDrawTheReferencesToken) {
  for (Index V : {257, 1856}) {
    const auto logits = steps_of_64th(V, 4, 1);
    for (const auto& options : kRules)
      expect_draws(logits.view(), options, SamplerKernel::many_blocks, 1);
  }
}

TEST_F(CudaSampler, DrawsInEveryOrderOfThreads) {
  const auto logits = steps_of_64th(1200, 4, 1);
  const SamplerOptions options{.temperature = 1, .top_k = 700, .top_p = 0.8f};
  in_every_order([&] {
    for (auto kernel : {SamplerKernel::one_block, SamplerKernel::many_blocks})
      expect_draws(logits.view(), options, kernel, 2);
  });
}

// Flat: all p are equal, so the order is that of the ids. Peaked: one token has nearly everything.
// Masked: most logits are -infinity, some stretches nothing else.
TEST_F(CudaSampler, DrawsFromFlatPeakedAndMaskedLogits) {
  Buffer<float, 1> flat({1856}), peaked({1856}), masked({2500});
  for (Index v = 0; v < 1856; ++v) peaked.view()(v) = -static_cast<float>(v % 97);
  peaked.view()(1400) = 4;
  for (Index v = 0; v < 2500; ++v) {
    masked.view()(v) = v < 1100 || v % 7 != 0 ? -kInfinity : static_cast<float>(v % 5);
  }
  for (auto kernel : {SamplerKernel::one_block, SamplerKernel::many_blocks})
    for (const auto* logits : {&flat, &peaked, &masked})
      for (const SamplerOptions& options : {SamplerOptions{.temperature = 1},
                                            {.temperature = 1, .top_p = 0.6f},
                                            {.temperature = 3, .top_k = 300, .top_p = 0.95f}})
        expect_draws(logits->view(), options, kernel, 1);
}

// A token that is one step of a float above another comes first; equals come by their ids.
TEST_F(CudaSampler, OrdersNeighboursAmongFloatsAndEqualsById) {
  std::vector<float> numbers(300);
  for (std::size_t v = 0; v < numbers.size(); ++v) {
    numbers[v] = 1 + static_cast<float>(v % 3) * 0x1p-20f;  // of three values, 100 each
  }
  const View<const float, 1> logits(numbers.data(), {300});
  for (auto kernel : {SamplerKernel::one_thread, SamplerKernel::many_blocks})
    expect_draws(logits, {.temperature = 1, .top_k = 150}, kernel, 16);
}

// Probabilities of 1/2 and of 1/4, exact on both sides: no tie is aside here.
TEST_F(CudaSampler, TopPKeepsATokenWhenTheMassBeforeItEqualsP) {
  const cuda::Stream stream;
  const auto two = vector_of({0, 0}), four = vector_of({0, 0, 0, 0});
  for (SamplerKernel kernel : kKernels) {
    for (float top_p : {0.5f, 0.4999f}) {
      for (const auto* logits : {&two, &four}) {
        const auto on_device = to_device(stream, logits->view());
        for (std::uint64_t seed = 0; seed < 2; ++seed) {
          const SamplerOptions options{.temperature = 1, .top_p = top_p, .seed = seed};
          EXPECT_EQ(sample_there(stream, on_device.view(), options, 3, kernel).id,
                    sample(reference, logits->view(), options, 3));
        }
      }
    }
  }
}

TEST_F(CudaSampler, TakesTheSmallestAndTheLargestTemperature) {
  const auto logits = vector_of({3, 700, -4, 700, -kInfinity});
  for (SamplerKernel kernel : kKernels)
    for (float temperature :
         {std::numeric_limits<float>::denorm_min(), 1e-6f, std::numeric_limits<float>::max()})
      expect_draws(logits.view(), {.temperature = temperature}, kernel, 2);
}

TEST_F(CudaSampler, DrawsFromManyTokensCloseToOneAnother) {
  const auto logits = steps_of_64th(60000, 12, 1);
  expect_draws(logits.view(), {.temperature = 1}, SamplerKernel::best, 1);
}

// With a top_p the CPU's sum of all exponentials counts, which is one of floats: where 257216
// logits lie close to one another it is off by 3 in 10000. These lie far apart, as a model's do.
TEST_F(CudaSampler, DrawsFromTheModelsVocabulary) {
  const auto logits = steps_of_64th(257216, 500, 2);
  expect_draws(logits.view(), {.temperature = 1, .top_k = 300, .top_p = 0.9f}, SamplerKernel::best,
               1);
}

// ---- what a model calls -------------------------------------------------------------------------

// The step stands in device memory: what is recorded once draws anew at each.
TEST_F(CudaSampler, IsRecordedOnceAndReadsTheStepThen) {
  const auto logits = steps_of_64th(1856, 4, 1);
  const cuda::Stream stream;
  const auto there = to_device(stream, logits.view());
  for (const SamplerOptions& options :
       {SamplerOptions{}, SamplerOptions{.temperature = 1, .top_k = 60, .seed = 5}}) {
    cuda::DeviceBuffer<std::uint64_t, 1> step({1});
    cuda::DeviceBuffer<Sampled, 1> out({1});
    const auto queue = [&] {
      sample(stream, there.view(), options, std::as_const(step).view(), out.view());
    };
    fill_bytes(stream, step.view().data(), 0, sizeof(std::uint64_t));
    queue();
    const cuda::Graph graph(stream, queue);
    for (std::uint64_t now : {0, 1, 2, 3, 40}) {
      copy_to_device(stream, step.view().data(), &now, sizeof now);
      stream.wait();
      graph.launch(stream);
      Sampled sampled;
      copy_to_host(stream, &sampled, out.view().data(), sizeof sampled);
      stream.wait();
      EXPECT_EQ(sampled.id, sample(reference, logits.view(), options, now)) << "step " << now;
      expect_log_probability(sampled, logits.view());
    }
  }
}

TEST_F(CudaSampler, OnesThatWaitAnswerAsTheReference) {
  const auto logits = steps_of_64th(1500, 4, 3);
  const cuda::Stream stream;
  const auto there = to_device(stream, logits.view());
  const DeviceView<const float, 1> view = there.view();
  const SamplerOptions options{.temperature = 1, .top_p = 0.5f, .seed = 2};
  for (std::uint64_t step : {0, 1, 2}) {
    EXPECT_EQ(sample(stream, view, options, step), sample(reference, logits.view(), options, step));
  }
  Buffer<float, 1> actual({3}), expected({3});
  const TokenId ids[] = {0, 750, 1499};
  for (Index i = 0; i < 3; ++i) {
    actual.view()(i) = log_probability(stream, view, ids[i]);
    expected.view()(i) = log_probability(reference, logits.view(), ids[i]);
  }
  EXPECT_TRUE(close(actual.view(), expected.view(), twice(float_sum_of(1500, 1))));
}

TEST_F(CudaSampler, LogProbabilityOfACertaintyIsZeroAndOfTheImpossibleMinusInfinity) {
  const auto logits = vector_of({-kInfinity, 1000, -1000});
  const cuda::Stream stream;
  const auto there = to_device(stream, logits.view());
  const DeviceView<const float, 1> view = there.view();
  EXPECT_EQ(log_probability(stream, view, 1), 0);
  EXPECT_EQ(log_probability(stream, view, 2), -2000);
  EXPECT_EQ(log_probability(stream, view, 0), -kInfinity);
}

// ---- refusals -----------------------------------------------------------------------------------

// The text of what `run` throws as E.
template <class E, class F>
std::string refusal_of(F run) {
  try {
    run();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing is thrown";
}

TEST_F(CudaSampler, RefusesLogitsThatAreNotNumbersInTheReferencesWords) {
  const cuda::Stream stream;
  auto late = random<float, 1>({2500}, 1), first_of_two = random<float, 1>({2500}, 1);
  late.view()(2400) = kInfinity;
  first_of_two.view()(1300) = -std::numeric_limits<float>::quiet_NaN();
  first_of_two.view()(2100) = kInfinity;
  const auto first = rows_of({{NAN, 1, 2}}), last = rows_of({{1, 2, NAN}});
  const auto nothing = rows_of({{-kInfinity, -kInfinity}});
  const View<const float, 1> bad[] = {late.view(), first_of_two.view(), first.view().row(0),
                                      last.view().row(0), nothing.view().row(0)};
  for (const auto& logits : bad) {
    const auto there = to_device(stream, logits);
    for (float temperature : {0.0f, 1.0f}) {
      const SamplerOptions options{.temperature = temperature};
      const std::string expected =
          refusal_of<std::runtime_error>([&] { sample(reference, logits, options, 0); });
      for (SamplerKernel kernel : kKernels) {
        const Sampled sampled = sample_there(stream, there.view(), options, 0, kernel);
        EXPECT_TRUE(std::isnan(sampled.log_probability));
        EXPECT_EQ(refusal_of<std::runtime_error>([&] { throw_if_refused(sampled); }), expected);
      }
      EXPECT_EQ(refusal_of<std::runtime_error>([&] { sample(stream, there.view(), options, 0); }),
                expected);
    }
  }
}

TEST_F(CudaSampler, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const auto logits = to_device(stream, vector_of({1, 2, 3}).view());
  const DeviceView<const float, 1> view = logits.view();
  for (const SamplerOptions& bad :
       {SamplerOptions{.temperature = -1}, SamplerOptions{.temperature = NAN},
        SamplerOptions{.temperature = kInfinity}, SamplerOptions{.temperature = 1, .top_k = -1},
        SamplerOptions{.temperature = 1, .top_p = -0.1f},
        SamplerOptions{.temperature = 1, .top_p = NAN}}) {
    EXPECT_THROW(sample(stream, view, bad, 0), ContractError);
  }
  EXPECT_THROW(sample(stream, DeviceView<const float, 1>(), {}, 0), ContractError);
  const DeviceView<const float, 1> strided(view.data(), {2}, {2});
  EXPECT_THROW(sample(stream, strided, {}, 0), ContractError);
  const DeviceView<const float, 1> too_many(view.data(), {cuda::kMaxTokens + 1});
  EXPECT_THROW(sample(stream, too_many, {.temperature = 1}, 0), ContractError);
  EXPECT_THROW(log_probability(stream, view, 3), ContractError);
  EXPECT_THROW(log_probability(stream, view, -1), ContractError);

  const cuda::DeviceBuffer<std::uint64_t, 1> step({1}), steps({2});
  cuda::DeviceBuffer<Sampled, 1> out({1}), outs({2});
  EXPECT_THROW(sample(stream, view, {}, steps.view(), out.view()), ContractError);
  EXPECT_THROW(sample(stream, view, {}, step.view(), outs.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
