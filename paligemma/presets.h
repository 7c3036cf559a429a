// Presets: the published sizes of PaliGemma, as configurations.
//
// Source: Beyer et al. 2024, "PaliGemma", section 3; Steiner et al. 2024, "PaliGemma 2", table 1;
// the configuration files of the published checkpoints. Read next: paligemma/weights.h.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "paligemma/config.h"

namespace paligemma {

struct Preset {
  std::string_view name;  // "paligemma2-3b-224"; a checkpoint's kind (pt, mix, ft) changes no size
  std::string_view text;  // which Gemma: "gemma-2b", "gemma2-2b", "gemma2-9b" or "gemma2-27b"
  Index image_size;
};

std::span<const Preset> presets();

// The preset's config.json, with every field written out. Throws ContractError for an unknown name.
std::string preset_json(std::string_view name);

}  // namespace paligemma
