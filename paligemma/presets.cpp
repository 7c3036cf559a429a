#include "paligemma/presets.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tensor/json.h"

namespace paligemma {
namespace {

constexpr std::array<Preset, 12> kPresets{{{"paligemma-3b-224", "gemma-2b", 224},
                                           {"paligemma-3b-448", "gemma-2b", 448},
                                           {"paligemma-3b-896", "gemma-2b", 896},
                                           {"paligemma2-3b-224", "gemma2-2b", 224},
                                           {"paligemma2-3b-448", "gemma2-2b", 448},
                                           {"paligemma2-3b-896", "gemma2-2b", 896},
                                           {"paligemma2-10b-224", "gemma2-9b", 224},
                                           {"paligemma2-10b-448", "gemma2-9b", 448},
                                           {"paligemma2-10b-896", "gemma2-9b", 896},
                                           {"paligemma2-28b-224", "gemma2-27b", 224},
                                           {"paligemma2-28b-448", "gemma2-27b", 448},
                                           {"paligemma2-28b-896", "gemma2-27b", 896}}};

struct TextSize {
  std::string_view name;
  int layers, width, mlp_width, heads, kv_heads, head_size, query_scalar;
};

constexpr std::array<TextSize, 4> kTextSizes{{{"gemma-2b", 18, 2048, 16384, 8, 1, 256, 256},
                                              {"gemma2-2b", 26, 2304, 9216, 8, 4, 256, 256},
                                              {"gemma2-9b", 42, 3584, 14336, 16, 8, 256, 256},
                                              {"gemma2-27b", 46, 4608, 36864, 32, 16, 128, 144}}};

template <class Rows>
const auto& named(const Rows& rows, std::string_view name) {
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return r.name == name; });
  PG_CHECK(row != rows.end(), "no preset " + std::string(name));
  return *row;
}

}  // namespace

std::span<const Preset> presets() { return kPresets; }

std::string preset_json(std::string_view name) {
  const Preset& preset = named(kPresets, name);
  const TextSize& size = named(kTextSizes, preset.text);
  const bool gemma2 = preset.text.starts_with("gemma2");

  std::vector<Field> text{{"model_type", gemma2 ? "gemma2" : "gemma"},
                          {"vocab_size", 257216},
                          {"hidden_size", size.width},
                          {"intermediate_size", size.mlp_width},
                          {"num_hidden_layers", size.layers},
                          {"num_attention_heads", size.heads},
                          {"num_key_value_heads", size.kv_heads},
                          {"head_dim", size.head_size},
                          {"max_position_embeddings", 8192},
                          {"rms_norm_eps", 1e-6},
                          {"rope_theta", 10000.0},
                          {"hidden_act", "gelu_pytorch_tanh"}};
  if (gemma2) {
    text.insert(text.end(), {{"hidden_activation", "gelu_pytorch_tanh"},
                             {"query_pre_attn_scalar", size.query_scalar},
                             {"attn_logit_softcapping", 50.0},
                             {"final_logit_softcapping", 30.0},
                             {"sliding_window", 4096},
                             {"eos_token_id", array({1, 107})}});
  }
  const std::vector<Field> vision{{"model_type", "siglip_vision_model"},
                                  {"image_size", preset.image_size},
                                  {"patch_size", 14},
                                  {"hidden_size", 1152},
                                  {"intermediate_size", 4304},
                                  {"num_attention_heads", 16},
                                  {"num_hidden_layers", 27},
                                  {"layer_norm_eps", 1e-6},
                                  {"hidden_act", "gelu_pytorch_tanh"},
                                  {"vision_use_head", false}};
  return object({{"model_type", "paligemma"},
                 {"architectures", array({"PaliGemmaForConditionalGeneration"})},
                 {"image_token_index", 257152},
                 {"bos_token_id", 2},
                 {"eos_token_id", 1},
                 {"pad_token_id", 0},
                 {"projection_dim", size.width},
                 {"tie_word_embeddings", true},
                 {"text_config", object(text)},
                 {"vision_config", object(vision)}})
      .text();
}

}  // namespace paligemma
