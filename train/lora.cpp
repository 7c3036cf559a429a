#include "train/lora.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <vector>

#include "tensor/json.h"
#include "tensor/pattern.h"
#include "tensor/philox.h"

namespace paligemma {
namespace {

bool are_names(const std::string& text) {
  return text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,") == text.npos;
}

// What transformers calls the layer when the model is loaded.
std::string in_memory(const std::string& layer) {
  constexpr std::string_view kText = "language_model.model.";
  if (layer == "lm_head") return layer;
  if (layer.starts_with(kText)) return "model.language_model." + layer.substr(kText.size());
  return "model." + layer;
}

}  // namespace

std::string peft_module(const std::string& layer) { return "base_model.model." + in_memory(layer); }

std::function<bool(const std::string& layer)> lora_targets(const std::string& text) {
  if (text == "all-linear") return [](const std::string& layer) { return layer != "lm_head"; };
  if (!are_names(text)) {
    return [pattern = Pattern(text)](const std::string& layer) {
      return pattern.is_all_of(in_memory(layer)) || pattern.is_all_of(layer);
    };
  }
  std::vector<std::string> endings;
  std::istringstream list(text);
  for (std::string name; std::getline(list, name, ',');) endings.push_back("." + name);
  return [endings](const std::string& layer) {
    return std::ranges::any_of(endings, [&](const std::string& ending) {
      return ("." + in_memory(layer)).ends_with(ending) || ("." + layer).ends_with(ending);
    });
  };
}

void begin_lora(std::uint64_t seed, std::uint32_t layer, View<float, 2> A) {
  const float bound = 1 / std::sqrt(static_cast<float>(A.size(1)));
  for (Index i = 0; i < A.count(); ++i) {
    const PhiloxBlock bits =
        philox({static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
               {static_cast<std::uint32_t>(i), 0, layer, 1});
    A.data()[i] = bound * (static_cast<float>(bits[0] >> 8) * 0x1p-23f - 1);
  }
}

void turn_lora(View<const float, 2> from, float scale, View<float, 2> to) {
  PG_CHECK(from.size(0) == to.size(1) && from.size(1) == to.size(0),
           "from " + shape_text(from) + ", to " + shape_text(to));
  for (Index i = 0; i < to.size(0); ++i) {
    for (Index j = 0; j < to.size(1); ++j) to(i, j) = scale * from(j, i);
  }
}

std::string adapter_config_json(const LoraRule& rule, std::span<const std::string> layers,
                                const std::string& base) {
  std::vector<std::string> modules;
  for (const std::string& layer : layers) modules.push_back(in_memory(layer));
  return object({{"base_model_name_or_path", base},
                 {"bias", "none"},
                 {"fan_in_fan_out", false},
                 {"inference_mode", true},
                 {"init_lora_weights", true},
                 {"lora_alpha", rule.alpha},
                 {"lora_dropout", 0},
                 {"modules_to_save", Json()},
                 {"peft_type", "LORA"},
                 {"r", rule.rank},
                 {"target_modules", array_of(modules)},
                 {"task_type", "CAUSAL_LM"},
                 {"use_dora", false},
                 {"use_rslora", false}})
             .text() +
         "\n";
}

}  // namespace paligemma
