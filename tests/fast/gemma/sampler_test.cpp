#include "fast/gemma/sampler.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

constexpr Index kVocabulary = 257216;  // of the published checkpoints

class FastSampler : public OnEveryInstructionSet {
 protected:
  // Numbers up to 5.
  static Buffer<float, 1> random_logits(Index V) {
    auto logits = random<float, 1>({V}, 1);
    for (Index v = 0; v < V; ++v) logits.view()(v) *= 5;
    return logits;
  }
  static Buffer<float, 1> constant(Index V, float value) {
    Buffer<float, 1> logits({V});
    std::fill_n(logits.view().data(), V, value);
    return logits;
  }
  TokenId greedy(const Buffer<float, 1>& logits) { return sample(fast, logits.view(), {}, 0); }
  static std::string error_of(const auto& on, View<const float, 1> logits,
                              const SamplerOptions& options) {
    try {
      sample(on, logits, options, 0);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "none";
  }
  void expect_log_probabilities(View<const float, 1> logits) {
    const Index V = logits.size(0);
    for (const Index v : {Index{0}, V / 2, V - 1}) {
      const auto id = static_cast<TokenId>(v);
      const auto expected = vector_of({log_probability(reference, logits, id)});
      const auto actual = vector_of({log_probability(fast, logits, id)});
      // 1024 exponentials at a time are added as floats; the relative error of the sum is an
      // absolute error of its logarithm.
      EXPECT_TRUE(close(actual.view(), expected.view(), float_sum_of(1024, 1)))
          << "V = " << V << ", token " << v;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, FastSampler, kInstructionSets, instruction_set_name);

TEST_P(FastSampler, GreedyIsTheReference) {
  for (Index V : {1, 3, 72, 1152, 4304, 16384, 16385, 257216}) {
    const auto logits = random_logits(V);
    EXPECT_EQ(greedy(logits), sample(reference, logits.view(), {}, 0)) << "V = " << V;
  }
}

// The ends of registers, of what a thread takes at a time, and of the whole.
TEST_P(FastSampler, GreedyFindsTheLargestAnywhere) {
  for (float others : {-1e30f, -1.0f}) {
    auto logits = constant(kVocabulary, others);
    for (const TokenId id : {0, 1, 3, 4, 15, 16, 1023, 1024, 16383, 16384, 100'000, 257'199,
                             257'200, 257'214, 257'215}) {
      logits.view()(id) = others / 2;
      EXPECT_EQ(greedy(logits), id);
      logits.view()(id) = others;
    }
  }
  for (Index V : {1, 3, 17, 37}) {
    for (Index v = 0; v < V; ++v) {
      auto logits = constant(V, -7);
      logits.view()(v) = -6;
      EXPECT_EQ(greedy(logits), v) << "V = " << V;
    }
  }
}

TEST_P(FastSampler, GreedyTakesTheLowestIdOfEquals) {
  EXPECT_EQ(greedy(vector_of({-1, 5, 2, 5, 5})), 1);
  EXPECT_EQ(greedy(vector_of({-0.0, 0.0})), 0);
  EXPECT_EQ(greedy(vector_of({0.0, -0.0})), 0);
  for (Index V : {1, 3, 72, 257216}) EXPECT_EQ(greedy(constant(V, -3)), 0);
  auto logits = random_logits(kVocabulary);  // equals in one register, in two, and of two threads
  for (const TokenId id : {257'215, 16'390, 16'383, 40, 9, 8}) {
    logits.view()(id) = 6;
    EXPECT_EQ(greedy(logits), id);
  }
}

TEST_P(FastSampler, DrawsTheReferencesTokens) {
  for (Index V : {1, 3, 72, 1152}) {
    const auto logits = random_logits(V);
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      for (const SamplerOptions& options :
           {SamplerOptions{.temperature = 1, .seed = seed},
            SamplerOptions{.temperature = 0.5f, .top_k = 20, .seed = seed},
            SamplerOptions{.temperature = 2, .top_p = 0.9f, .seed = seed}}) {
        EXPECT_EQ(sample(fast, logits.view(), options, seed + 1),
                  sample(reference, logits.view(), options, seed + 1))
            << "V = " << V << ", seed " << seed;
      }
    }
  }
  const auto logits = random_logits(kVocabulary);
  const SamplerOptions options{.temperature = 1, .top_k = 40, .seed = 3};
  EXPECT_EQ(sample(fast, logits.view(), options, 1), sample(reference, logits.view(), options, 1));
}

TEST_P(FastSampler, NeverTakesMinusInfinity) {
  auto logits = constant(72, -INFINITY);
  logits.view()(70) = -1e30f;
  EXPECT_EQ(greedy(logits), 70);
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    EXPECT_EQ(sample(fast, logits.view(), {.temperature = 1, .seed = seed}, 0), 70);
  }
}

// In whole registers, in the rest behind them, and where another thread looks.
TEST_P(FastSampler, RefusesWhatTheReferenceRefuses) {
  for (Index V : {1, 3, 72, 257216}) {
    auto logits = random_logits(V);
    for (const Index v : {Index{0}, V / 2, V - 1}) {
      const float before = logits.view()(v);
      for (float bad : {NAN, -NAN, INFINITY}) {
        logits.view()(v) = bad;
        for (float temperature : {0.0f, 1.0f}) {
          const SamplerOptions options{.temperature = temperature};
          const std::string error = error_of(fast, logits.view(), options);
          EXPECT_EQ(error, "logit " + std::to_string(v) + " is not a finite number");
          EXPECT_EQ(error, error_of(reference, logits.view(), options));
        }
      }
      logits.view()(v) = before;
    }
    EXPECT_EQ(error_of(fast, constant(V, -INFINITY).view(), {}), "every logit is -infinity");
  }
}

TEST_P(FastSampler, RejectsOptionsThatMeanNothing) {
  const auto logits = vector_of({1, 2, 3});
  for (const SamplerOptions& bad :
       {SamplerOptions{.temperature = -1}, SamplerOptions{.temperature = NAN},
        SamplerOptions{.temperature = INFINITY}, SamplerOptions{.temperature = 1, .top_k = -1},
        SamplerOptions{.temperature = 1, .top_p = -0.1f},
        SamplerOptions{.temperature = 1, .top_p = NAN}}) {
    EXPECT_THROW(sample(fast, logits.view(), bad, 0), ContractError);
  }
}

// Greedy as well, though it asks for neither.
TEST_P(FastSampler, GreedyRejectsOptionsThatMeanNothing) {
  const auto logits = vector_of({1, 2, 3});
  for (const SamplerOptions& bad : {SamplerOptions{.top_k = -1}, SamplerOptions{.top_p = -0.1f},
                                    SamplerOptions{.top_p = NAN}}) {
    EXPECT_THROW(sample(reference, logits.view(), bad, 0), ContractError);
    EXPECT_THROW(sample(fast, logits.view(), bad, 0), ContractError);
  }
}

TEST_P(FastSampler, RejectsWrongShapes) {
  const auto logits = vector_of({1, 2, 3, 4});
  const View<const float, 1> every_second(logits.view().data(), {2}, {2});
  EXPECT_THROW(sample(fast, View<const float, 1>(), {}, 0), ContractError);
  EXPECT_THROW(sample(fast, every_second, {}, 0), ContractError);
  EXPECT_THROW(log_probability(fast, every_second, 0), ContractError);
  EXPECT_THROW(log_probability(fast, logits.view(), 4), ContractError);
  EXPECT_THROW(log_probability(fast, logits.view(), -1), ContractError);
}

TEST_P(FastSampler, LogProbabilitiesAreTheReferences) {
  for (Index V : {1, 3, 72, 1023, 1025, 4304, 16385, 257216}) {
    expect_log_probabilities(random_logits(V).view());
    expect_log_probabilities(constant(V, 100).view());
  }
}

// One token with half of the mass: its term must not be lost, wherever it stands.
TEST_P(FastSampler, LogProbabilitiesCountEveryToken) {
  for (Index V : {3, 17, 72, 257216}) {
    for (const Index v : {Index{0}, V / 2, V - 2, V - 1}) {
      auto logits = constant(V, 0);
      logits.view()(v) = std::log(static_cast<float>(V - 1));
      expect_log_probabilities(logits.view());
    }
  }
}

TEST_P(FastSampler, LogProbabilityOfACertaintyIsZeroAndOfTheImpossibleMinusInfinity) {
  const auto logits = vector_of({-INFINITY, 1000, -1000});
  EXPECT_EQ(log_probability(fast, logits.view(), 1), 0);
  EXPECT_EQ(log_probability(fast, logits.view(), 2), -2000);
  EXPECT_EQ(log_probability(fast, logits.view(), 0), -INFINITY);
}

TEST_P(FastSampler, LogProbabilityOfWhatIsNoNumberIsNone) {
  for (const auto& bad :
       {vector_of({NAN, 1, 2}), vector_of({1, NAN, 2}), vector_of({INFINITY, 1, 2}),
        vector_of({-INFINITY, -INFINITY, -INFINITY})}) {
    EXPECT_TRUE(std::isnan(log_probability(fast, bad.view(), 2)));
  }
}

}  // namespace
}  // namespace paligemma
