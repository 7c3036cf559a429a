#include "paligemma/presets.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tensor/json.h"

namespace paligemma {
namespace {

constexpr std::array<PresetSize, 12> kSizes{{{"paligemma-3b-224", "gemma-2b", 224},
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

// Of PaliGemma 1's fine-tuned models those that the hub's pages or transformers' documentation show.
constexpr std::array<Preset, 42> kPresets{
    {{"paligemma-3b-pt-224", "pali_gemma_3b_224", 4},
     {"paligemma-3b-pt-448", "pali_gemma_3b_448", 4},
     {"paligemma-3b-pt-896", "pali_gemma_3b_896", 4},
     {"paligemma-3b-mix-224", "pali_gemma_3b_mix_224", 4},
     {"paligemma-3b-mix-448", "pali_gemma_3b_mix_448", 4},
     {"paligemma-3b-ft-cococap-448"},
     {"paligemma-3b-ft-docvqa-224"},
     {"paligemma-3b-ft-docvqa-448"},
     {"paligemma-3b-ft-docvqa-896"},
     {"paligemma-3b-ft-nlvr2-448"},
     {"paligemma-3b-ft-ocrvqa-896"},
     {"paligemma-3b-ft-okvqa-448"},
     {"paligemma-3b-ft-refcoco-seg-896"},
     {"paligemma-3b-ft-rsvqa-hr-224"},
     {"paligemma-3b-ft-rsvqa-hr-448"},
     {"paligemma-3b-ft-science-qa-448"},
     {"paligemma-3b-ft-scicap-224"},
     {"paligemma-3b-ft-scicap-448"},
     {"paligemma-3b-ft-stvqa-224"},
     {"paligemma-3b-ft-textcaps-448"},
     {"paligemma-3b-ft-textvqa-896"},
     {"paligemma-3b-ft-vizwizvqa-448"},
     {"paligemma-3b-ft-vqav2-224"},
     {"paligemma-3b-ft-vqav2-448"},
     {"paligemma-3b-ft-widgetcap-448"},
     {"paligemma2-3b-pt-224", "pali_gemma2_pt_3b_224", 2},
     {"paligemma2-3b-pt-448", "pali_gemma2_pt_3b_448", 2},
     {"paligemma2-3b-pt-896", "pali_gemma2_pt_3b_896", 2},
     {"paligemma2-3b-mix-224", "pali_gemma2_mix_3b_224", 2},
     {"paligemma2-3b-mix-448", "pali_gemma2_mix_3b_448", 2},
     {"paligemma2-3b-ft-docci-448", "pali_gemma_2_ft_docci_3b_448", 2},
     {"paligemma2-10b-pt-224", "pali_gemma2_pt_10b_224", 3},
     {"paligemma2-10b-pt-448", "pali_gemma2_pt_10b_448", 3},
     {"paligemma2-10b-pt-896", "pali_gemma2_pt_10b_896", 3},
     {"paligemma2-10b-mix-224", "pali_gemma2_mix_10b_224", 3},
     {"paligemma2-10b-mix-448", "pali_gemma2_mix_10b_448", 3},
     {"paligemma2-10b-ft-docci-448", "pali_gemma2_ft_docci_10b_448", 3},
     {"paligemma2-28b-pt-224", "pali_gemma2_pt_28b_224", 4},
     {"paligemma2-28b-pt-448", "pali_gemma2_pt_28b_448", 3},
     {"paligemma2-28b-pt-896", "pali_gemma2_pt_28b_896", 3},
     {"paligemma2-28b-mix-224", "pali_gemma2_mix_28b_224", 3, "pali_gemma2_28b_mix_224"},
     {"paligemma2-28b-mix-448", "pali_gemma2_mix_28b_448", 3, "pali_gemma2_28b_mix_448"}}};

// What keras_hub called them before 0.19.
constexpr std::array<Preset, 2> kOlderNames{
    {{"paligemma2-3b-ft-docci-448", "pali_gemma2_3b_ft_docci_448"},
     {"paligemma2-10b-ft-docci-448", "pali_gemma2_10b_ft_docci_448"}}};

struct TextSize {
  std::string_view name;
  int layers, width, mlp_width, heads, kv_heads, head_size, query_scalar;
};

constexpr std::array<TextSize, 4> kTextSizes{{{"gemma-2b", 18, 2048, 16384, 8, 1, 256, 256},
                                              {"gemma2-2b", 26, 2304, 9216, 8, 4, 256, 256},
                                              {"gemma2-9b", 42, 3584, 14336, 16, 8, 256, 256},
                                              {"gemma2-27b", 46, 4608, 36864, 32, 16, 128, 144}}};

template <class Rows>
auto named(const Rows& rows, std::string_view name) {
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return r.name == name; });
  return row == rows.end() ? nullptr : &*row;
}

// "kaggle://keras/paligemma/keras/pali_gemma_3b_224/4" without its version.
std::string_view without_version(std::string_view handle) {
  const auto slash = handle.rfind('/');
  const bool has = handle.find_first_not_of("0123456789", slash + 1) == handle.npos;
  return has ? handle.substr(0, slash) : handle;
}

}  // namespace

std::string Preset::hub() const { return "google/" + std::string(name); }

std::string Preset::kaggle() const {
  if (keras.empty()) return "";
  const std::string model = name.starts_with("paligemma2") ? "paligemma2" : "paligemma";
  return "keras/" + model + "/keras/" + std::string(variation.empty() ? keras : variation);
}

// "paligemma2-3b-ft-docci-448": what is between the second and the last dash changes no size.
std::string Preset::size() const {
  const auto second = name.find('-', name.find('-') + 1);
  return std::string(name.substr(0, second)) + std::string(name.substr(name.rfind('-')));
}

std::string Preset::kind() const {
  const auto begin = name.find('-', name.find('-') + 1) + 1;
  return std::string(name.substr(begin, name.find('-', begin) - begin));
}

std::span<const PresetSize> preset_sizes() { return kSizes; }
std::span<const Preset> presets() { return kPresets; }

const Preset* find_preset(std::string_view name) {
  for (const Preset& preset : kOlderNames) {
    if (name == preset.keras) return named(kPresets, preset.name);
  }
  for (const Preset& preset : kPresets) {
    const bool in_keras =
        !preset.keras.empty() &&
        (name == preset.keras || without_version(name) == "kaggle://" + preset.kaggle());
    if (in_keras || name == preset.name || name == preset.hub() || name == "hf://" + preset.hub()) {
      return &preset;
    }
  }
  return nullptr;
}

std::string preset_json(std::string_view name) {
  const Preset* published = find_preset(name);
  const PresetSize* preset = named(kSizes, published ? published->size() : name);
  if (!preset) return "";
  const TextSize& size = *named(kTextSizes, preset->text);
  const bool gemma2 = preset->text.starts_with("gemma2");

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
                                  {"image_size", preset->image_size},
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
