// Presets: the published models of PaliGemma, by all their names, and their sizes as configurations.
//
// Source: Beyer et al. 2024, "PaliGemma", section 3; Steiner et al. 2024, "PaliGemma 2", table 1;
// the configuration files of the published checkpoints; keras_hub 0.32's pali_gemma_presets.py for the names
// in Keras and at Kaggle. Read next: paligemma/weights.h.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "paligemma/config.h"

namespace paligemma {

struct PresetSize {
  std::string_view name;  // "paligemma2-3b-224"; a checkpoint's kind (pt, mix, ft) changes no size
  std::string_view text;  // which Gemma: "gemma-2b", "gemma2-2b", "gemma2-9b" or "gemma2-27b"
  Index image_size;
};

std::span<const PresetSize> preset_sizes();

struct Preset {
  std::string_view name;            // "paligemma2-28b-mix-224"
  std::string_view keras = {};      // "pali_gemma2_mix_28b_224"; empty if keras_hub has it not
  int version = 0;                  // of the preset at Kaggle that keras_hub asks for
  std::string_view variation = {};  // what Kaggle calls it, where that is not its name in Keras

  std::string hub() const;     // "google/paligemma2-28b-mix-224"
  std::string kaggle() const;  // "keras/paligemma2/keras/pali_gemma2_28b_mix_224", or empty
  std::string size() const;    // "paligemma2-28b-224"
  std::string kind() const;    // "pt", "mix" or "ft"
};

std::span<const Preset> presets();

// By NAME, google/NAME, hf://google/NAME, its name in Keras, be it an older one, or kaggle://KAGGLE with or
// without a version. Null if it is none of these.
const Preset* find_preset(std::string_view name);

// The config.json of a preset, by any of its names, or of a size, with every field written out. Empty if there
// is none of this name.
std::string preset_json(std::string_view name);

}  // namespace paligemma
