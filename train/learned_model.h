// What a run has learned, as a folder that others open.
//
//   write_learned_model     all of the model, in model.safetensors: transformers loads it, and so does paligemma -m
//   write_learned_adapter   adapter_config.json and adapter_model.safetensors: PEFT loads it, and so does --adapter
//
// Each is there whole or not at all; one that was there is replaced. Both make the folder if it is not there.
//
// Read next: paligemma/pipeline.h.
#pragma once

#include <filesystem>
#include <string>

#include "train/parameters.h"

namespace paligemma {

// Every tensor keeps the type that it has in the model's file. `model` is the folder that this was learned from, whose
// other files are copied: of a preset of Keras, its config.json, which is read here alone. Throws std::runtime_error if
// it cannot be written.
void write_learned_model(const std::filesystem::path& out, const std::filesystem::path& model,
                         const Checkpoint& checkpoint, const Config& config,
                         const Parameters& parameters);

// `base` is what the adapter's file calls the model. Throws std::runtime_error if it cannot be written.
void write_learned_adapter(const std::filesystem::path& out, const std::string& base,
                           const LoraRule& rule, const Parameters& parameters);

}  // namespace paligemma
