// Quantise: a checkpoint with the language model's matrices as 8 or 4 bits, written once, so that opening it
// is mapping it.
//
//   model.safetensors   language_model.* matrices [O, I]: U8 [O, ceil(I / 256), 260 or 140], the blocks of
//                       tensor/quantized_linear.h; everything else BF16; today's names
//   config.json, tokenizer.model, vae-oid.npz and what else is read beside weights, here or by transformers
//                       copied, where they are there
//
// The vision tower stays bf16: a picture is encoded once, and a seventh of the weights is in it.
//
// Read next: paligemma/random_weights.h.
#pragma once

#include <filesystem>

#include "paligemma/checkpoint.h"

namespace paligemma {

// `format` is int8_blocks or int4_blocks; `model` a checkpoint's folder or file; `out` a folder, made if it is
// not there. Throws NotFoundError or ModelFileError for the model, std::runtime_error if `out` has a model
// already, is being written by another run or cannot be written; nothing is left then.
void quantize_checkpoint(const std::filesystem::path& model, WeightFormat format,
                         const std::filesystem::path& out, const LoadListener& listener = {});

}  // namespace paligemma
