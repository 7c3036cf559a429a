// Merge: a checkpoint whose weights have an adapter's changes in them (paligemma/adapter.h).
//
//   W' = magnitude (W + s B A)      each weight rounded to the format of the base's
//
// The folder that comes of it is a model like any other, for whoever reads checkpoints. Where head and embedding
// are one table and the adapter changes one of the two, the new model has both, and its config.json says that they
// are not tied: so it says what the adapter says unmerged. PEFT's merge_and_unload() changes the one table, and
// both with it.
//
// Paper: Hu et al. 2021, "LoRA", section 4.1 ("no additional inference latency").
//
// Read next: tensor/safetensors.h.
#pragma once

#include <filesystem>

#include "paligemma/checkpoint.h"

namespace paligemma {

// `model` is a checkpoint's folder or file, not a quantised one; `out` a folder, made if it is not there. Whether
// head and embedding have become two. Throws NotFoundError or ModelFileError for the model and the adapter, and
// what NewModel does for `out`; nothing is left then.
bool merge_adapter(const std::filesystem::path& model, const std::filesystem::path& adapter,
                   const std::filesystem::path& out, const LoadListener& listener = {});

}  // namespace paligemma
