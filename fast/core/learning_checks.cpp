// What kernels are asked that only learning uses.
#include <cmath>

#include "fast/core/kernel_proof.h"

namespace paligemma::proofs {
namespace {

// ---- the way back ----------------------------------------------------------------------------------

template <class Number>
void add_way_back(std::vector<KernelProof>& checks, const std::string& type,
                  void (*ProductKernels::*kernel)(const Fast&, const ProductWork<Number>&)) {
  constexpr Index M = 9, K = 515, N = 53;  // more rows than a panel has
  for (const bool turned : {false, true}) {
    if (turned && !std::is_same_v<Number, float>) continue;  // nobody asks for it
    const auto run = [=](const Fast& on) {
      auto a = weights<float>(M * K, 1), y = weights<float>(M * N + 3, 3);
      const auto b = weights<Number>(K * N, 2);
      (on.kernels().backward.*kernel)(
          on, {a.data(), turned ? 1 : K, turned ? M : 1, b.data(), y.data(), M, K, N});
      return y;
    };
    checks.push_back(
        {type + " numbers, the way back by " + (turned ? "columns" : "rows"), run, kNoRounding});
  }
}

// ---- GELU ------------------------------------------------------------------------------------------

// Whole registers and single numbers behind them, to both ends of the bend.
constexpr Index kBent = 150;
constexpr float kBeside = 0.5f;  // less than the largest, of which tolerances are

// Of numbers up to 6, an exponential within 2 ulp, whose argument five roundings put off, where |x| < 4.
constexpr float kGeluRounding = 0x1p-20f;

// 1 - share is off by two roundings until share is 1, at x = 5, and multiplied by 35 there; by either kernel.
constexpr float kSlopeRounding = 0x1p-17f;

Numbers bent(const Fast& on, bool gated) {
  Numbers x = uniform(kBent, 1), up = uniform(kBent, 2), y(kBent + 3, kBeside);
  for (float& number : x) number *= 6;
  on.kernels().gelu.forward(on, {x.data(), gated ? up.data() : nullptr, y.data(), kBent});
  return y;
}

Numbers slopes(const Fast& on, bool gated) {
  Numbers x = uniform(kBent, 1), up = uniform(kBent, 2), dy = uniform(kBent, 3),
          y(2 * kBent + 3, kBeside);
  for (float& number : x) number *= 6;
  on.kernels().gelu.backward(on, {x.data(), gated ? up.data() : nullptr, dy.data(), y.data(),
                                  gated ? y.data() + kBent : nullptr, kBent});
  return y;
}

// ---- attention -------------------------------------------------------------------------------------

// Twice attention's own: a score's gradient has two sums of H products and a weight, and is summed up in its turn.
constexpr float kAttentionRounding = 0x1p-17f;

Numbers attention_backward(const Fast& on, bool masked, float soft_cap) {
  constexpr Index T = 67, N = 4, K = 2, S = 53, H = 20;  // more than are taken at a time
  const auto q = uniform(T * N * H, 1), k = uniform(S * K * H, 2), v = uniform(S * K * H, 3),
             out = uniform(T * N * H, 4), dout = uniform(T * N * H, 5);
  Numbers sums = uniform(T * N, 6), d(T * N * H + 2 * N * S * H + 3, 0.0f);
  for (float& sum : sums) sum += 4;
  std::vector<KeyRange> visible;
  for (Index t = 0; t < T; ++t) visible.push_back({t % 5, S - t % 19});
  float *const dq = d.data(), *const dk = dq + T * N * H;
  on.kernels().attention_backward(on, {q.data(),
                                       k.data(),
                                       v.data(),
                                       out.data(),
                                       dout.data(),
                                       masked ? visible.data() : nullptr,
                                       sums.data(),
                                       dq,
                                       dk,
                                       dk + N * S * H,
                                       {0.25f, soft_cap},
                                       T,
                                       N,
                                       H,
                                       S,
                                       K});
  return d;
}

// ---- softmax ---------------------------------------------------------------------------------------

// Of the largest, two exponentials within 2 ulp.
constexpr float kExpRounding = 0x1p-21f;

Numbers exponentials(const Fast& on) {
  Numbers x = uniform(kBent, 1), y(kBent + 3, kBeside);
  for (float& number : x) number *= 3;
  on.kernels().logits.scaled_exp(x.data(), kBent, 3, -0.7f, y.data());
  return y;
}

}  // namespace

std::vector<KernelProof> learning_checks() {
  std::vector<KernelProof> checks;
  add_way_back(checks, "f32", &ProductKernels::f32);
  add_way_back(checks, "bf16", &ProductKernels::bf16);
  add_way_back(checks, "f16", &ProductKernels::f16);
  for (const bool gated : {false, true}) {
    const std::string gate = gated ? ", a gate" : "";
    checks.push_back(
        {"GELU" + gate, [=](const Fast& on) { return bent(on, gated); }, kGeluRounding});
    checks.push_back({"the way back of GELU" + gate,
                      [=](const Fast& on) { return slopes(on, gated); }, kSlopeRounding});
  }
  const auto attention = [&](const std::string& what, bool masked, float cap) {
    checks.push_back({"the way back of attention" + what,
                      [=](const Fast& on) { return attention_backward(on, masked, cap); },
                      kAttentionRounding});
  };
  attention("", false, kNoSoftCap);
  attention(", a mask and a cap", true, 0.5f);
  checks.push_back({"exponentials of logits", exponentials, kExpRounding});
  return checks;
}

}  // namespace paligemma::proofs
