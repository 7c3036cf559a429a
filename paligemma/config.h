// Config: what a checkpoint's JSON files say about it, with everything they leave out filled in.
//
//   config.json                the shapes of both towers; PaliGemma 2 is told by text_config's
//                              model_type "gemma2"
//   generation_config.json     the tokens that end an answer, and how it is written (may be missing)
//   processor_config.json      in its part image_processor, how a picture becomes pixels (may be missing)
//   preprocessor_config.json   the same, if the other does not say it (may be missing)
//
// Published files omit whatever equals a class default of Hugging Face's at the time, even the head
// size and the picture size, and some hold stale numbers at the top level. So the widths come from
// text_config and vision_config alone, and a table of defaults stands in config.cpp. Anything that
// would change the result and is not supported is refused by name. Sizes are bounded, and the
// tensors must then have exactly the shapes that follow from them (paligemma/checkpoint.h).
//
// The config.json of a preset of Keras has a class_name; keras_preset.h says what it and the files beside it hold.
//
// Source: the configuration classes of Hugging Face transformers 5.23.0 and the files of the
// published checkpoints. Read next: paligemma/presets.h.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "gemma/shape.h"
#include "gemma/token_embedding.h"  // TokenId
#include "paligemma/generation_config.h"
#include "paligemma/projector.h"
#include "processing/normalize_pixels.h"
#include "processing/resize.h"
#include "siglip/shape.h"

namespace paligemma {

enum class Towers { both, vision };

struct Config {
  std::string architecture;  // "paligemma", "paligemma2" or "siglip"
  siglip::EncoderShape vision;
  bool pooling_head = false;  // the vision tower's, if the files hold one (siglip/attention_pool.h)
  gemma::DecoderShape text;
  bool tied_head = true;  // the embedding table is also the output head
  ProjectorActivation projector_activation = ProjectorActivation::none;
  // Of the rows that ColPali makes of pages and queries (colpali/model.h); 0 for a model that answers. What its
  // config.json leaves open is as wide as the file's projection.
  Index retrieval_width = 0;
  bool retrieval_width_is_open = false;
  TokenId image_token = 0;  // 257152 in the published checkpoints
  // Any of these ends an answer: those of generation_config.json, else of config.json, else of its
  // text_config; if there are none, the tokenizer's <eos>.
  std::set<TokenId> end_tokens;
  ResampleFilter resample = ResampleFilter::bicubic;
  bool samples_picture = false;  // in place of it, as Keras does: sample() in processing/resize.h
  bool crops_picture = false;    // of that the middle square
  PixelScale pixel_scale;
  bool blends_alpha =
      true;          // transparent pixels with white, else alpha is dropped (do_convert_rgb)
  std::string json;  // config.json as it was read, on one line
  GenerationConfig generation;
};

// From config.json's text alone. `where` begins the message of the ModelFileError. Where the vision tower alone is
// wanted, it may be a SigLIP's, which has no projector either; the language model has no layers then.
Config parse_config(std::string_view text, const std::string& where, Towers towers = Towers::both);

// From a checkpoint's folder. Throws NotFoundError if it has no config.json.
Config read_config(const std::filesystem::path& folder, Towers towers = Towers::both);

}  // namespace paligemma
