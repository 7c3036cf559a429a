#include "fast/core/kernel_check.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "fast/core/kernel_proof.h"
#include "tensor/child_process.h"

namespace paligemma {
namespace {

using namespace proofs;

// ---- products --------------------------------------------------------------------------------------

// An exponential within 2 ulp, whose argument three roundings put off, where GELU bends: |x| < 4.
constexpr float kGeluRounding = 0x1p-20f;

struct Sizes {
  Index T, O, I;
};

// What sums may lack of them: of a layer without an adapter its bias.
constexpr Index kRank = 5;
struct RandomRemainder {
  Numbers bias, magnitude, low, b;

  RandomRemainder(Index T, Index O, std::uint32_t seed)
      : bias(weights<float>(O, seed)),
        magnitude(weights<float>(O, seed + 10)),
        low(weights<float>(T * kRank, seed + 20)),
        b(weights<float>(kRank * O, seed + 30)) {}
  Remainder of(bool adapted) const {
    const Remainder whole{bias.data(), magnitude.data(), low.data(), b.data(), kRank};
    return adapted ? whole : Remainder{bias.data()};
  }
};

struct Ending {
  bool gated = false, gelu = false, adapted = false;
};

// What a layer writes, and what stood beside it.
template <class Weight>
Numbers products(const Fast& on, void (*kernel)(const Fast&, const LinearWork<Weight>&), Sizes z,
                 Ending ending) {
  constexpr bool kBlocks = !std::is_same_v<Weight, float> && sizeof(Weight) > 2;
  const Index row = kBlocks ? blocks_of(z.I) : z.I, stride = z.O + 3;
  auto x = weights<float>(z.T * z.I, 1);
  for (Index t = 0; t < z.T; ++t) {
    for (Index i = 0; i < z.I; i += kBlock) x[static_cast<std::size_t>(t * z.I + i)] = 127 * kStep;
  }
  const auto weight = weights<Weight>(z.O * row, 2), gate = weights<Weight>(z.O * row, 3);
  const RandomRemainder remainder(z.T, z.O, 4), gate_remainder(z.T, z.O, 5);
  Numbers y(static_cast<std::size_t>(z.T * stride), 7.0f);
  kernel(on, {x.data(), weight.data(), remainder.of(ending.adapted),
              ending.gated ? gate.data() : nullptr,
              ending.gated ? gate_remainder.of(ending.adapted) : Remainder{}, ending.gelu, y.data(),
              z.T, z.O, z.I, stride});
  return y;
}

constexpr Index kManyFeatures = 8400;  // more than a panel has, and than the first cache

template <class Weight>
void add_products(std::vector<KernelProof>& checks, const std::string& type,
                  void (*LinearKernels::*kernel)(const Fast&, const LinearWork<Weight>&)) {
  const auto add = [&](const std::string& what, Sizes sizes, Ending ending) {
    checks.push_back(
        {type + " weights, " + what,
         [=](const Fast& on) { return products(on, on.kernels().linear.*kernel, sizes, ending); },
         ending.gelu ? kGeluRounding : kNoRounding});
  };
  for (const Index T : {2, 9, 37}) {
    const std::string rows = T == 2 ? "few rows" : T == 9 ? "many rows" : "very many rows";
    add(rows, {T, 53, 300}, {});
    add(rows + ", a gate", {T, 53, 300}, {.gated = true});
    add(rows + ", GELU", {T, 53, 70}, {.gelu = true});
    add(rows + ", a gate and GELU", {T, 53, 70}, {.gated = true, .gelu = true});
    add(rows + ", adapters and a gate", {T, 53, 70}, {.gated = true, .adapted = true});
    add(rows + " of many features", {T, 5, kManyFeatures}, {});
  }
}

// ---- adapters --------------------------------------------------------------------------------------

// Whole registers of outputs, and single ones behind them.
Numbers adapted(const Fast& on) {
  constexpr Index T = 3, O = 150, kStride = O + 3;
  auto y = weights<float>(T * kStride, 2);
  on.kernels().linear.remainder(on, {RandomRemainder(T, O, 1).of(true), y.data(), T, O, kStride});
  return y;
}

// ---- attention -------------------------------------------------------------------------------------

constexpr Index kKeys = 37;

// Sums of H products and of kKeys values, and an exponential: some hundred roundings of either sign.
constexpr float kAttentionRounding = 0x1p-18f;

struct Attention {
  Index T, N, K, H;
  bool masked;
  float soft_cap;
  bool slope = false, table = false;
};

Numbers attention(const Fast& on, const Attention& a) {
  const auto q = uniform(a.T * a.N * a.H, 1), k = uniform(kKeys * a.K * a.H, 2),
             v = uniform(kKeys * a.K * a.H, 3);
  std::vector<KeyRange> visible;
  for (Index t = 0; t < a.T; ++t) visible.push_back({t % 5, kKeys - (a.T - 1 - t) % 19});
  const auto slope = uniform(a.N, 4), table = uniform(a.N * kKeys, 5);
  DistanceBias<> bias{.first_query = kKeys - a.T, .first_distance = -9};
  if (a.slope) bias.slope = {slope.data(), {a.N}};
  if (a.table) bias.table = {table.data(), {a.N, kKeys}};
  Numbers out(q.size());
  const AttentionRule rule{1 / std::sqrt(static_cast<float>(a.H)), a.soft_cap};
  const KeyRange* const ranges = a.masked ? visible.data() : nullptr;
  on.kernels().attention(on,
                         {q.data(),  k.data(),  v.data(),  out.data(), ranges,
                          rule,      a.T,       a.N,       a.H,        kKeys,
                          a.K,       a.N * a.H, a.H,       a.K * a.H,  a.H,
                          a.K * a.H, a.H,       a.N * a.H, a.H,        DistanceBiasOfKernel(bias)});
  return out;
}

void add_attention(std::vector<KernelProof>& checks) {
  const auto add = [&](const std::string& name, const Attention& a) {
    checks.push_back({name, [=](const Fast& on) { return attention(on, a); }, kAttentionRounding});
  };
  for (const Index H : {20, 72}) {
    add("attention, one query", {1, 4, 2, H, false, kNoSoftCap});
    add("attention, few queries", {3, 4, 1, H, true, kNoSoftCap});
    add("attention, many queries", {23, 4, 2, H, false, kNoSoftCap});
    add("attention, many queries, a mask and a cap", {23, 4, 2, H, true, 0.5f});
    add("attention, few queries, a bias", {3, 4, 1, H, true, kNoSoftCap, true, true});
    add("attention, many queries, slopes", {23, 4, 2, H, true, kNoSoftCap, true});
    add("attention, many queries, a table", {23, 4, 2, H, true, kNoSoftCap, false, true});
  }
}

// ---- logits ----------------------------------------------------------------------------------------

constexpr Index kLogits = 2099;

// Exponentials within 2 ulp, of which a lane adds up to 256 in floats; tanh as a quotient of two such.
constexpr float kLogitRounding = 0x1p-19f;

Numbers maxima(const Fast& on) {
  Numbers found;
  for (const Index at : {Index{0}, Index{700}, kLogits - 1}) {
    for (const float x : {0.0f, 2.0f, -INFINITY, INFINITY, NAN}) {
      Numbers logits = uniform(kLogits, 1);
      logits[static_cast<std::size_t>(at)] = x;
      found.push_back(on.kernels().logits.max(logits.data(), kLogits));
    }
  }
  return found;
}

Numbers sum_of_exponentials(const Fast& on) {
  Numbers logits = uniform(kLogits, 2);
  for (float& x : logits) x *= 30;
  return {static_cast<float>(on.kernels().logits.sum_exp(logits.data(), kLogits, 30))};
}

Numbers capped(const Fast& on) {
  Numbers logits = uniform(kLogits, 3);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] *= i % 2 == 0 ? 90.0f : 3.0f;
  on.kernels().logits.soft_cap(30, logits.data(), kLogits);
  return logits;
}

// ---- ColPali ---------------------------------------------------------------------------------------

// Rows of an even and of an odd number of features; whole registers of columns, and half of one.
template <class Row>
Numbers page_scores(const Fast& on,
                    void (*MaxSimKernels::*kernel)(const Fast&, const MaxSimWork<Row>&)) {
  constexpr Index P = 3, R = 40, first[P + 1] = {1, 2, 13, R};
  Numbers scores;
  for (const Index W : {20, 23}) {
    for (const Index T : {3, 21, 53}) {
      const auto q = weights<float>(T * W, 1);
      const auto rows = weights<Row>(R * W, 2);
      Numbers of(P);
      (on.kernels().max_sim.*kernel)(on, {q.data(), rows.data(), first, of.data(), T, W, P, W, W});
      scores.insert(scores.end(), of.begin(), of.end());
    }
  }
  return scores;
}

template <class Row>
void add_page_scores(std::vector<KernelProof>& checks, const std::string& type,
                     void (*MaxSimKernels::*kernel)(const Fast&, const MaxSimWork<Row>&)) {
  checks.push_back({"scores of " + type + " pages",
                    [=](const Fast& on) { return page_scores(on, kernel); }, kNoRounding});
}

std::vector<KernelProof> all_checks() {
  std::vector<KernelProof> checks;
  add_products(checks, "f32", &LinearKernels::f32);
  add_products(checks, "bf16", &LinearKernels::bf16);
  add_products(checks, "f16", &LinearKernels::f16);
  add_products(checks, "int8", &LinearKernels::int8);
  add_products(checks, "int4", &LinearKernels::int4);
  checks.push_back({"an adapter", adapted, kNoRounding});
  for (KernelProof& check : learning_checks()) checks.push_back(std::move(check));
  add_attention(checks);
  checks.push_back({"the largest logit", maxima, kNoRounding});
  checks.push_back({"the sum of exponentials", sum_of_exponentials, kLogitRounding});
  checks.push_back({"capped logits", capped, kLogitRounding});
  add_page_scores(checks, "f32", &MaxSimKernels::f32);
  add_page_scores(checks, "bf16", &MaxSimKernels::bf16);
  add_page_scores(checks, "f16", &MaxSimKernels::f16);
  return checks;
}

bool agree(const Numbers& actual, const Numbers& expected, float tolerance) {
  float largest = 0;
  for (const float x : expected) largest = std::max(largest, std::abs(x));
  return std::equal(actual.begin(), actual.end(), expected.begin(), [&](float a, float e) {
    return a == e || std::abs(a - e) <= tolerance * largest;  // not taken by a NaN
  });
}

}  // namespace

std::string failed_check(const Kernels& kernels, const CheckListener& before) {
  const Fast checked({.kernels = &kernels, .threads = 1}),
      portable({.kernels = available_kernels().back(), .threads = 1});
  for (const KernelProof& check : all_checks()) {
    if (before) before(check.name);
    if (!agree(check.run(checked), check.run(portable), check.tolerance)) return check.name;
  }
  return "";
}

std::string failed_check_apart(const Kernels& kernels) {
  const std::string passed = "passed";
  const std::string last = last_words([&](const Say& say) {
    if (failed_check(kernels, say).empty()) say(passed);
  });
  if (last == passed) return "";
  return last.empty() ? "the beginning" : last;
}

}  // namespace paligemma
