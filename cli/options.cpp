#include "cli/options.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "cli/id_list.h"
#include "engine/devices.h"
#include "fast/core/kernels.h"
#include "tensor/utf8.h"

namespace paligemma::cli {
namespace {

constexpr float kTemperatureWhenSampling = 0.8f;

void refuse(bool given, const char* flag) {
  if (given) throw UsageError(std::string(flag) + " is not there yet");
}

void require(bool fits, const std::string& rule) {
  if (!fits) throw UsageError(rule);
}

void check_kernels(const Options& o) {
  if (o.kernels == "auto") return;
  std::string all = "auto";
  bool is_there = false;
  for (const Kernels* kernels : available_kernels()) {
    all += ", " + std::string(kernels->name);
    is_there |= kernels->name == o.kernels;
  }
  const std::string given = "--kernels " + o.kernels;
  require(is_there, given + ": must be one of " + all + " on this processor");
  require(!o.reference, given + ": --reference has no kernels");
  require(o.device == "auto" || o.device == "cpu",
          given + ": these are the CPU's, not those of --device " + o.device);
}

// What the command line and the model say, taken together.
void check_together(const Options& o, const ReplyOptions& how) {
  if (how.beams.beams > 1) {
    require(how.answers <= how.beams.beams, "--num-return-sequences " +
                                                std::to_string(how.answers) + " of " +
                                                std::to_string(how.beams.beams) + " beams");
    require(how.sampler.temperature == 0, "--num-beams: there is no draw among beams");
    require(o.lookup.value_or(0) == 0, "--prompt-lookup is not for --num-beams");
    require(o.penalty_alpha.value_or(0) == 0, "--penalty-alpha is not for --num-beams");
  } else {
    require(o.length_penalty.value_or(1) == 1, "--length-penalty is for --num-beams");
    require(how.beams.early_stopping == EarlyStopping::no, "--early-stopping is for --num-beams");
    if (how.contrast.alpha > 0) {
      const std::string flag = "--penalty-alpha: ";
      require(how.sampler.temperature == 0, flag + "there is no draw in a contrastive search");
      require(how.answers == 1, flag + "a contrastive search has one answer");
      require(o.lookup.value_or(0) == 0, "--prompt-lookup is not for --penalty-alpha");
      require(how.contrast.k >= 1 && how.contrast.k <= 1024,
              flag + "--top-k must be from 1 to 1024");
    }
    require(how.answers == 1 || how.sampler.temperature > 0,
            "--num-return-sequences: greedy has one answer; give --num-beams or --temperature");
  }
}

}  // namespace

void check_one_of(const char* flag, const std::string& value,
                  std::initializer_list<const char*> allowed) {
  std::string all;
  for (const char* word : allowed) {
    if (value == word) return;
    all += (all.empty() ? "" : ", ") + std::string(word);
  }
  throw UsageError(std::string(flag) + " " + value + ": must be one of " + all);
}

void check(const Options& o) {
  refuse(!o.report.empty(), "--report");
  require(o.prompt_file != "-" || std::ranges::find(o.images, "-") == o.images.end(),
          "--file -: standard input is the picture");
  require(o.images.empty() || o.pixels.empty(), "both --image and --pixels");
  if (!o.jsonl.empty()) {
    require(o.images.empty() && o.pixels.empty(), "--jsonl: the pictures are named in the lines");
    require(!o.prompt && o.prompt_file.empty(), "--jsonl: the prompts stand in the lines");
  }
  require(o.out.empty() || !o.jsonl.empty() || o.command == Command::finetune ||
              o.command == Command::train_tiny,
          "--out is for --jsonl; -o writes a picture");
  require(o.shard.empty() || !o.jsonl.empty(), "--shard is for --jsonl");
  require(o.batch.value_or(1) >= 1 && o.batch.value_or(1) <= 1024,
          "--batch must be from 1 to 1024");
  require(o.images.size() <= 1024, "more than 1024 pictures");
  require(o.scenes.value_or(1) >= 1 && o.scenes.value_or(1) <= 1 << 24,
          "--scenes must be from 1 to 16777216");
  require(o.rounds >= 1 && o.rounds <= 1000, "--rounds must be from 1 to 1000");
  require(o.max_tokens.value_or(1) >= 1, "--max-tokens must be at least 1");
  require(o.max_tokens.value_or(1) <= 1 << 24, "--max-tokens is too large");
  require(o.threads.value_or(1) >= 1 && o.threads.value_or(1) <= 1024,
          "--threads must be from 1 to 1024");
  const float temperature = o.temperature.value_or(0);
  require(temperature >= 0 && std::isfinite(temperature), "--temperature must be 0 or more");
  require(o.top_p.value_or(1) >= 0 && o.top_p.value_or(1) <= 1, "--top-p must be from 0 to 1");
  require(o.top_k.value_or(0) >= 0, "--top-k must be 0 or more");
  require(o.min_p.value_or(0) >= 0 && o.min_p.value_or(0) <= 1, "--min-p must be from 0 to 1");
  require(o.repetition_penalty.value_or(1) > 0 && std::isfinite(o.repetition_penalty.value_or(1)),
          "--repetition-penalty must be more than 0");
  require(o.no_repeat_ngram.value_or(0) >= 0, "--no-repeat-ngram-size must be 0 or more");
  require(o.top_logprobs >= 0 && o.top_logprobs <= 1 << 20,
          "--top-logprobs must be from 0 to 1048576");
  require(o.penalty_alpha.value_or(0) >= 0 && o.penalty_alpha.value_or(0) <= 1,
          "--penalty-alpha must be from 0 to 1");
  require(o.num_beams.value_or(1) >= 1 && o.num_beams.value_or(1) <= 1024,
          "--num-beams must be from 1 to 1024");
  require(std::isfinite(o.length_penalty.value_or(1)), "--length-penalty must be a number");
  require(o.num_return_sequences.value_or(1) >= 1 && o.num_return_sequences.value_or(1) <= 1024,
          "--num-return-sequences must be from 1 to 1024");
  require(o.lookup.value_or(0) >= 0 && o.lookup.value_or(0) <= 1024,
          "--prompt-lookup must be from 0 to 1024");
  require(o.top_logprobs == 0 || o.json, "--top-logprobs is for --json");
  require(o.top_k_share.value_or(0) >= 0 && o.top_k_share.value_or(0) < 1,
          "--top-k-share must be 0 or more and below 1");
  require(o.top_a.value_or(0) >= 0 && o.top_a.value_or(0) <= 1, "--top-a must be from 0 to 1");
  require(o.max_mem_len.value_or(0) >= 0 && o.max_mem_len.value_or(0) <= 1 << 24,
          "--max-mem-len must be from 0 to 16777216");
  require(o.tokens.empty() || (!o.prompt && o.prompt_file.empty()), "both --tokens and a prompt");
  require(o.seed >= 0, "--seed must be 0 or more");
  require(o.seed < std::numeric_limits<std::int64_t>::max(), "--seed is too large");
  require(o.verbosity >= 0 && o.verbosity <= 2, "--verbosity must be 0, 1 or 2");
  require(!(o.prompt && !o.prompt_file.empty()), "both --prompt and --file");
  require(o.model.empty() || o.hf_repo.empty(), "both --model and --hf-repo");

  const auto one_of = check_one_of;
  one_of("--split", o.split, {"test", "held-out", "val", "train", "other"});
  one_of("--padding", o.padding, {"", "left", "right"});
  one_of("--pool", o.pool, {"auto", "none", "mean", "first", "attention"});
  one_of("--do-sample", o.do_sample, {"", "true", "false"});
  one_of("--early-stopping", o.early_stopping, {"", "true", "false", "never"});
  if (!weight_format_named(o.dtype)) {
    one_of("--dtype", o.dtype, {"auto", "f32", "bf16", "f16", "int8", "int4"});
  }
  one_of("--softcap", o.softcap, {"config", "off"});
  one_of("--sliding-window", o.sliding_window, {"config", "off"});
  one_of("--resize", o.resize, {"config", "bilinear", "bicubic"});
  one_of("--orientation", o.orientation, {"exif", "ignore"});
  const std::string number = o.device.substr(o.device.find(':') + 1);
  const bool numbered = o.device.starts_with("cuda:") && !number.empty() &&
                        number.find_first_not_of("0123456789") == number.npos;
  if (!numbered) one_of("--device", o.device, {"auto", "cpu", "cuda", "cuda:N", "emulated"});
  require(!o.reference || o.device == "auto" || o.device == "cpu",
          "--reference runs on the CPU, not on --device " + o.device);
  check_kernels(o);
  if (o.command == Command::finetune) check_training(o);
  if (o.command == Command::train_tiny) check_train_tiny(o);
  if (o.command == Command::bench) {
    check_what_is_learned(o.training);
    const TrainingFlags& t = o.training;
    const bool given = t.lora || !t.freeze.empty() || t.recompute != "none";
    require(t.is_measured || !given, "--lora, --freeze and --recompute are for bench --train");
  }
}

ExecutorOptions Options::executor(std::filesystem::path model_path) const {
  return {device, kernels, reference, static_cast<int>(threads.value_or(0)), std::move(model_path)};
}

PipelineOptions Options::pipeline() const {
  PipelineOptions p;
  if (command == Command::embed && !search.keeps_rows) p.towers = Towers::vision;
  if (!tokenizer.empty()) p.tokenizer = tokenizer;
  if (!mask_decoder.empty()) p.mask_decoder = mask_decoder;
  p.dtype = weight_format_named(dtype);  // nothing for "auto"
  if (resize == "bilinear") p.resample = ResampleFilter::bilinear;
  if (resize == "bicubic") p.resample = ResampleFilter::bicubic;
  p.soft_cap = softcap == "config";
  p.sliding_window = sliding_window == "config";
  return p;
}

ReadOptions Options::reading(const Config& config) const {
  return {.turns = orientation == "exif", .blends_alpha = config.blends_alpha};
}

SamplerOptions Options::sampler() const {
  const bool draws = do_sample.empty() ? temperature.value_or(0) > 0 : do_sample == "true";
  return {draws ? temperature.value_or(kTemperatureWhenSampling) : 0, top_k.value_or(0),
          top_p.value_or(1), static_cast<std::uint64_t>(seed)};
}

ReplyOptions Options::reply(const Config& config) const {
  ReplyOptions how = as_configured(config.generation);
  if (max_tokens) how.max_tokens = *max_tokens;
  if (!stop.empty()) how.stop = stop;
  how.likeliest = top_logprobs;
  if (lookup) how.lookup = *lookup;

  TokenRules& rules = how.rules;
  if (min_p) rules.min_p = *min_p;
  if (repetition_penalty) rules.repetition_penalty = *repetition_penalty;
  if (no_repeat_ngram) rules.no_repeat_ngram = *no_repeat_ngram;
  if (!suppressed.empty()) {
    const auto ids = id_list("--suppress-tokens", suppressed, config.text.vocabulary);
    rules.suppressed = {ids.begin(), ids.end()};
  }

  // Whoever speaks of a draw wants no search, and the other way round.
  const bool speaks_of_draws = temperature || !do_sample.empty();
  if (speaks_of_draws) {
    how.sampler.temperature = sampler().temperature;
    how.beams = {};
    how.contrast = {};
  } else if (num_beams || penalty_alpha) {
    how.sampler.temperature = 0;
    how.contrast = {};
    if (!num_beams) how.beams = {};
  }
  if (penalty_alpha) how.contrast.alpha = *penalty_alpha;
  if (top_k) how.sampler.top_k = how.contrast.k = *top_k;
  if (top_p) how.sampler.top_p = *top_p;
  how.sampler.seed = static_cast<std::uint64_t>(seed);

  BeamOptions& beams = how.beams;
  if (num_beams) beams.beams = *num_beams;
  if (length_penalty) beams.length_penalty = *length_penalty;
  if (!early_stopping.empty()) {
    beams.early_stopping = early_stopping == "true"    ? EarlyStopping::yes
                           : early_stopping == "never" ? EarlyStopping::never
                                                       : EarlyStopping::no;
  }
  if (num_return_sequences) {
    how.answers = *num_return_sequences;
  } else if (speaks_of_draws || num_beams || penalty_alpha) {
    how.answers = 1;
  }
  check_together(*this, how);
  return how;
}

void print_notes(const Options& options, const std::vector<std::string>& notes) {
  std::vector<std::string> shown;
  std::string line;
  for (const std::string& note : notes) {
    if (note.empty() || std::find(shown.begin(), shown.end(), note) != shown.end()) continue;
    shown.push_back(note);
    line += (line.empty() ? "" : "; ") + note;
  }
  if (line.empty() || options.verbosity < 1) return;
  std::fprintf(stderr, "paligemma: note: %s\n", printable(line).c_str());
}

}  // namespace paligemma::cli
