// Generation config: what generation_config.json says of answers, where nobody says otherwise.
//
//   repetition_penalty, no_repeat_ngram_size, suppress_tokens       always
//   do_sample   with temperature, top_k, top_p, min_p               absent: 1, 50, 1, 0, as in transformers
//   num_beams   with length_penalty, early_stopping, num_return_sequences
//   max_new_tokens, stop_strings, prompt_lookup_num_tokens
//
// Beams are not drawn among, and have no stop strings.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gemma/beams.h"
#include "gemma/contrastive.h"
#include "gemma/token_rules.h"
#include "tensor/json.h"

namespace paligemma {

struct GenerationConfig {
  std::optional<Index> max_tokens = {};
  SamplerOptions sampler = {};
  TokenRules rules = {};
  BeamOptions beams = {};
  ContrastiveOptions contrast = {};
  Index answers = 1;
  Index lookup = 0;
  std::vector<std::string> stop = {};
  std::string note = {};  // one line for the user, or "": what is asked for in vain
};

// Throws ModelFileError for a value out of range.
GenerationConfig generation_config_of(const JsonFields& fields);

}  // namespace paligemma
