#include "paligemma/tensor_names.h"

#include <string_view>

namespace paligemma {

namespace {

bool drop_prefix(std::string& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.erase(0, prefix.size());
  return true;
}

}  // namespace

std::string current_tensor_name(std::string name) {
  drop_prefix(name, "base_model.model.");
  drop_prefix(name, "paligemma.");
  drop_prefix(name, "vlm.");
  for (int i = 0; i < 2; ++i) drop_prefix(name, "model.");
  if (drop_prefix(name, "custom_text_proj.")) return "embedding_proj_layer." + name;
  for (const char* tower : {"vision_tower.vision_model.", "vision_model."}) {
    if (drop_prefix(name, tower)) return "vision_tower." + name;
  }
  for (const char* part : {"embeddings.", "encoder.", "post_layernorm.", "head."}) {
    if (name.starts_with(part)) return "vision_tower." + name;
  }
  if (drop_prefix(name, "language_model.lm_head.")) return "lm_head." + name;
  if (drop_prefix(name, "language_model.")) {
    drop_prefix(name, "model.");
    return "language_model.model." + name;
  }
  return name;
}

bool is_of_pooling_head(const std::string& name) { return name.starts_with("vision_tower.head."); }

bool is_ignored(const std::string& name, const Config& config) {
  if (name.ends_with(".position_ids") || name.ends_with(".rotary_emb.inv_freq")) return true;
  if (is_of_pooling_head(name)) return !config.pooling_head;
  if (config.text.layers > 0) return false;
  for (const char* text :
       {"language_model.", "lm_head.", "text_model.", "logit_", "embedding_proj_layer."}) {
    if (name.starts_with(text)) return true;
  }
  return false;
}

}  // namespace paligemma
