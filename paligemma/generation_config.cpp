#include "paligemma/generation_config.h"

#include <array>

namespace paligemma {
namespace {

struct Unheeded {
  const char* name;
  double neutral;  // the number that asks for nothing
};
constexpr std::array<Unheeded, 22> kUnheeded{{{"bad_words_ids", 0},
                                              {"begin_suppress_tokens", 0},
                                              {"constraints", 0},
                                              {"dola_layers", 0},
                                              {"encoder_no_repeat_ngram_size", 0},
                                              {"encoder_repetition_penalty", 1},
                                              {"exponential_decay_length_penalty", 0},
                                              {"force_words_ids", 0},
                                              {"forced_bos_token_id", -1},
                                              {"forced_eos_token_id", -1},
                                              {"guidance_scale", 1},
                                              {"max_length", 20},
                                              {"max_time", -1},
                                              {"min_length", 0},
                                              {"min_new_tokens", 0},
                                              {"num_beam_groups", 1},
                                              {"prefill_chunk_size", 0},
                                              {"remove_invalid_values", 0},
                                              {"sequence_bias", 0},
                                              {"token_healing", 0},
                                              {"use_mtp", 0},
                                              {"watermarking_config", 0}}};

constexpr Index kMost = Index{1} << 24;

TokenRules rules_of(const JsonFields& fields) {
  TokenRules rules;
  rules.repetition_penalty = fields.number("repetition_penalty", 1, 1e-6f, 1e6f);
  if (fields.has("no_repeat_ngram_size")) {
    rules.no_repeat_ngram = fields.whole("no_repeat_ngram_size", kMost);
  }
  if (fields.has("suppress_tokens")) {
    for (const Index id : fields.whole_numbers("suppress_tokens", kMost)) {
      rules.suppressed.insert(static_cast<TokenId>(id));
    }
  }
  return rules;
}

BeamOptions beams_of(const JsonFields& fields) {
  BeamOptions beams;
  beams.beams = fields.size("num_beams", 1, 1024);
  if (beams.beams == 1) return beams;
  beams.length_penalty = fields.number("length_penalty", 1, -1e6f, 1e6f);
  const char* name = "early_stopping";
  if (fields.is_text(name)) {
    if (fields.text(name) != "never") fields.fail(name, "must be true, false or \"never\"");
    beams.early_stopping = EarlyStopping::never;
  } else if (fields.flag(name, false)) {
    beams.early_stopping = EarlyStopping::yes;
  }
  return beams;
}

}  // namespace

GenerationConfig generation_config_of(const JsonFields& fields) {
  GenerationConfig config;
  const auto note = [&](const char* name) {
    config.note += (config.note.empty() ? "" : ", ") + std::string(name);
  };
  for (const auto& [name, neutral] : kUnheeded) {
    if (!fields.says_nothing(name, neutral)) note(name);
  }
  if (fields.has("max_new_tokens")) config.max_tokens = fields.size("max_new_tokens", 1, kMost);
  if (!fields.says_nothing("prompt_lookup_num_tokens")) {
    config.lookup = fields.size("prompt_lookup_num_tokens", 1, 1024);
  }
  config.rules = rules_of(fields);
  config.beams = beams_of(fields);

  const bool has_beams = config.beams.beams > 1, draws = fields.flag("do_sample", false);
  if (draws && has_beams) note("do_sample");
  if (draws && !has_beams) {
    config.sampler.temperature = fields.number("temperature", 1, 1e-6f, 1e6f);
    config.sampler.top_k = fields.has("top_k") ? fields.whole("top_k", kMost) : 50;
    config.sampler.top_p = fields.number("top_p", 1, 0, 1);
    config.rules.min_p = fields.number("min_p", 0, 0, 1);
  }
  if (!draws && !has_beams && fields.has("penalty_alpha")) {
    const Index k = fields.has("top_k") ? fields.whole("top_k", 1024) : 50;
    if (k > 1) config.contrast = {fields.number("penalty_alpha", 0, 0, 1), k};
  }
  const Index answers = fields.size("num_return_sequences", 1, 1024);
  if (answers == 1 || (has_beams ? answers <= config.beams.beams : draws)) {
    config.answers = answers;
  } else {
    note("num_return_sequences");
  }
  if (const char* name = "stop_strings"; !fields.says_nothing(name)) {
    config.stop = fields.is_text(name) ? std::vector{fields.text(name)} : fields.texts(name);
  }
  if (!config.note.empty()) {
    config.note = "generation_config.json asks for what is not done here: " + config.note;
  }
  return config;
}

}  // namespace paligemma
