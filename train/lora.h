// LoRA, learned: of a layer that stays as it is, two thin matrices beside it.
//
//   A  [r, I]   uniform within 1 / sqrt(I) when training begins       lora_A.weight
//   B  [O, r]   zeros then, so that the model begins as it was        lora_B.weight
//   y[t,o] += alpha / r  sum_k B[o,k] sum_i A[k,i] x[t,i]
//
// The model reads A as it is and B turned and scaled, b[k,o] = alpha / r B[o,k] (tensor/lora.h); after each step b is
// made anew, and before it the gradient of B is that of b, turned and scaled alike.
//
// Paper: Hu et al. 2021, "LoRA: low-rank adaptation of large language models", section 4.1. Names, scale and first
// values are those of PEFT 0.21.2.
//
// Read next: train/clip_by_norm.h.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "tensor/buffer.h"
#include "tensor/weights.h"

namespace paligemma {

struct LoraRule {
  Index rank = 8;
  double alpha = 8;
  std::function<bool(const std::string& layer)> is_target = {};
  std::uint64_t seed = 0;  // of A

  float scale() const { return static_cast<float>(alpha / static_cast<double>(rank)); }
};

// Whether a layer is a target, as PEFT reads target_modules: "all-linear", all of both towers and between them; else
// names with commas between them, each that of a layer or its end from a dot on; else a regular expression for all of
// the name. Names are the checkpoint's or those in memory. Throws PatternError for an expression that is none.
std::function<bool(const std::string& layer)> lora_targets(const std::string& text);

// A uniform in +-1 / sqrt(I), as PEFT draws it: Kaiming's, with its a of sqrt(5).
void begin_lora(std::uint64_t seed, std::uint32_t layer, View<float, 2> A);

// b[k,o] = scale B[o,k], and dB[o,k] = scale db[k,o].
void turn_lora(View<const float, 2> from, float scale, View<float, 2> to);

// What the model reads of one layer's, and where it leaves gradients.
struct LearnedLora {
  std::size_t a, b;                          // places among all parameters
  Buffer<float, 2> turned, turned_gradient;  // [r, O]
  Lora<HostWeights<float>> weights;
  Lora<HostGradients> gradients;
  float scale;
};

// What PEFT calls a layer's module in its files, "base_model.model.model.language_model.layers.0.self_attn.q_proj".
std::string peft_module(const std::string& layer);

// adapter_config.json for these layers.
std::string adapter_config_json(const LoraRule& rule, std::span<const std::string> layers,
                                const std::string& base);

}  // namespace paligemma
