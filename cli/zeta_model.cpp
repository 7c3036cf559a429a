#include "cli/zeta_model.h"

#include "cli/commands.h"
#include "cli/id_list.h"
#include "tensor/errors.h"
#include "tensor/mapped_file.h"
#include "tensor/paths.h"
#include "tensor/safetensors.h"

namespace paligemma::cli {
namespace {

bool asks_a_model(Command command) {
  return command != Command::scene && command != Command::init && command != Command::presets &&
         command != Command::completion_bash;
}

std::string is_a(const ZetaModel& model) {
  return model.found.id + " is a " + model.architecture();
}

}  // namespace

std::string ZetaModel::architecture() const {
  if (std::holds_alternative<zeta::PalmEShape>(config.model)) return "PalmE";
  return text() != nullptr ? "Transformer" : "ViTransformerWrapper";
}

const zeta::VisionShape* ZetaModel::vision() const {
  if (const auto* palme = std::get_if<zeta::PalmEShape>(&config.model)) return &palme->vision;
  return std::get_if<zeta::VisionShape>(&config.model);
}

const zeta::TransformerShape* ZetaModel::text() const {
  if (const auto* palme = std::get_if<zeta::PalmEShape>(&config.model)) return &palme->text;
  return std::get_if<zeta::TransformerShape>(&config.model);
}

bool ZetaModel::looks_at_pictures() const {
  if (vision() == nullptr || text() == nullptr) return vision() != nullptr;
  return text()->layers.count(zeta::BlockKind::cross_attention) > 0;
}

bool asks_zeta(const Options& options) {
  if (!asks_a_model(options.command)) return false;
  try {
    const auto config = checkpoint_folder(find_model(options).path) / "config.json";
    return is_file(config) && zeta::is_zeta_config(MappedFile(config).text());
  } catch (const std::runtime_error&) {  // whoever opens the model will say so
    return false;
  }
}

bool ZetaModel::writes() const {
  return text() != nullptr && text()->outputs == text()->vocabulary;
}

ZetaModel find_zeta(const Options& options) {
  ModelFolder found = find_model(options);
  const auto folder = checkpoint_folder(found.path);
  ZetaModel model{std::move(found), zeta::read_config(folder), std::nullopt};
  if (const auto* text = model.text()) {
    model.words = zeta::vocabulary_of(model.config, folder, text->vocabulary);
  }
  return model;
}

void check_fits(const Options& o, const ZetaModel& model) {
  const auto refuse = [&](bool given, const std::string& flag, const std::string& why = "") {
    if (given) throw UsageError(flag + ": " + is_a(model) + why);
  };
  refuse(!o.tokenizer.empty(), "--tokenizer");
  refuse(!o.mask_decoder.empty(), "--mask-decoder");
  refuse(o.softcap != "config", "--softcap");
  refuse(o.sliding_window != "config", "--sliding-window");
  refuse(o.skip_special_tokens, "--skip-special-tokens");
  refuse(o.min_p.has_value(), "--min-p");
  refuse(o.repetition_penalty.has_value(), "--repetition-penalty");
  refuse(o.no_repeat_ngram.has_value(), "--no-repeat-ngram-size");
  refuse(!o.suppressed.empty(), "--suppress-tokens");
  refuse(o.num_beams.has_value(), "--num-beams");
  refuse(o.penalty_alpha.has_value(), "--penalty-alpha");
  refuse(o.lookup.has_value(), "--prompt-lookup");
  refuse(o.length_penalty.has_value(), "--length-penalty");
  refuse(!o.early_stopping.empty(), "--early-stopping");
  refuse(o.num_return_sequences.has_value(), "--num-return-sequences");
  refuse(!o.jsonl.empty(), "--jsonl");
  refuse(o.batch.has_value(), "--batch");
  refuse(!o.stop.empty(), "--stop");
  refuse(o.top_logprobs != 0, "--top-logprobs");
  const auto dtype = weight_format_named(o.dtype);
  refuse(dtype && is_quantized(*dtype), "--dtype " + o.dtype, ", of f32, bf16 or f16");

  const std::string sees_none = " that looks at no picture";
  if (!model.looks_at_pictures()) {
    refuse(!o.images.empty(), "--image", sees_none);
    refuse(!o.pixels.empty(), "--pixels", sees_none);
  } else if (o.images.empty() && o.pixels.empty()) {
    throw UsageError(is_a(model) + "; give it a picture: --image FILE");
  }
  refuse(o.images.size() > 1, "--image", ", which looks at one picture");
  refuse(!o.images.empty() && model.vision()->channels != 3, "--image",
         " of pictures with another number of channels than 3");
  refuse(!o.output.empty() && (model.text() == nullptr || !model.looks_at_pictures()), "--output",
         ", whose words look at no picture");

  const std::string no_words = " that has no words";
  const zeta::TransformerShape* text = model.text();
  if (text == nullptr) {
    refuse(!o.tokens.empty(), "--tokens", no_words);
    refuse(o.prompt.has_value(), "--prompt", no_words);
    refuse(o.max_tokens.has_value(), "--max-tokens", no_words);
    refuse(o.loss, "--loss", no_words);
    refuse(o.max_mem_len.has_value(), "--max-mem-len", no_words);
    return;
  }
  refuse(o.loss && o.max_tokens, "--max-tokens", "; --loss makes no further tokens");
  if (!model.writes()) {
    const std::string why = " whose head scores " + std::to_string(text->outputs) +
                            " classes, not its " + std::to_string(text->vocabulary) + " words";
    refuse(o.max_tokens.has_value(), "--max-tokens", why);
    refuse(o.loss, "--loss", why);
    refuse(!o.output.empty(), "--output", why);
  }
  if (model.vision() == nullptr && text->layers.count(zeta::BlockKind::cross_attention) > 0) {
    throw UsageError(is_a(model) + " that cross-attends to a context, for which there is no flag");
  }
}

std::vector<TokenId> prompt_of(const Options& o, const ZetaModel& model) {
  const std::string how = model.words ? "-p TEXT or --tokens 5,3,2" : "--tokens 5,3,2";
  std::vector<TokenId> ids = model.config.start_tokens;
  if (o.prompt) {
    if (!model.words) {
      throw UsageError("--prompt: " + is_a(model) + " without a vocabulary; give ids: " + how);
    }
    ids = model.words->encode(*o.prompt);
  }
  if (!o.tokens.empty()) ids = id_list("--tokens", o.tokens, model.text()->vocabulary);
  if (ids.empty()) throw UsageError(is_a(model) + "; give it something to begin with: " + how);
  if (o.loss && ids.size() < 2) throw UsageError("--loss: there is no second token to score");
  return ids;
}

zeta::TextOptions text_options(const Options& o, const zeta::Config& config) {
  zeta::TextOptions text;
  text.max_tokens = o.max_tokens.value_or(100);
  if (config.eos_token) text.end_tokens = {*config.eos_token};
  text.sampler = o.sampler();
  text.sampler.top_p = 1;  // the filter's, before the temperature
  text.filter = {.top_k_share = o.top_k_share.value_or(0),
                 .top_p = o.top_p.value_or(1),
                 .top_a_ratio = o.top_a.value_or(0)};
  return text;
}

std::string last_cross_attention(const zeta::TransformerShape& text) {
  Index last = 0;
  for (std::size_t i = 0; i < text.layers.blocks.size(); ++i) {
    if (text.layers.blocks[i] == zeta::BlockKind::cross_attention) last = static_cast<Index>(i);
  }
  return "llm/block" + std::string(last < 10 ? "0" : "") + std::to_string(last) + "/attention";
}

}  // namespace paligemma::cli
