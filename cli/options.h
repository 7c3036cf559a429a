// What the command line says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace paligemma {
struct Config;
struct ExecutorOptions;
struct PipelineOptions;
struct ReadOptions;
struct ReplyOptions;
struct SamplerOptions;
}  // namespace paligemma

namespace paligemma::cli {

enum class Command {
  none,  // a prompt in the user's own words
  caption,
  answer,
  detect,
  segment,
  ocr,
  embed,
  search,
  scene,
  eval,
  finetune,
  train_tiny,
  bench,
  quantize,
  merge,
  init,
  inspect,
  tokenize,
  presets,
  completion_bash
};

// How a model is to learn (train/loop.h).
struct TrainingFlags {
  std::string data, validation, log, curve, photos;
  std::optional<std::int64_t> epochs, steps, accumulate, warmup, every, lora;
  std::optional<double> rate, lora_alpha;
  double weight_decay = 0, clip = 1, smoothing = 0, dropout = 0, ema = 0;
  std::string schedule = "cosine", optimizer = "adamw", recompute = "none", shuffle = "true";
  std::string freeze, no_decay, lora_targets;
  bool skip_bad = false;
  bool is_measured = false;  // by `bench --train`
};

// What is looked for, and how.
struct SearchFlags {
  std::optional<std::string> query;
  std::string form;  // colpali/prompt.h; nothing: the model's
  std::int64_t best = 5;
  bool keeps_rows = false;  // of `embed`: a ColPali's, not the vision tower's alone
};

// A flag or argument that makes no sense: exit code 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Options {
  Command command = Command::none;
  // Instead of an answer.
  bool help = false, help_all = false, version = false, list_devices = false;
  // Which model.
  std::string model, hf_repo, revision = "main", adapter, tokenizer, mask_decoder, dtype = "auto";
  std::string softcap = "config", sliding_window = "config";
  // What to ask.
  std::vector<std::string> images;
  std::string pixels;
  std::optional<std::string> prompt;
  std::string prompt_file, language = "en", question;
  std::string tokens;  // of a model of zeta
  std::vector<std::string> things;
  // Many of them.
  std::string jsonl, out, shard;
  std::string padding;  // of `tokenize`
  std::optional<std::int64_t> batch;
  // How to answer.
  std::optional<std::int64_t> max_tokens, threads;
  std::optional<float> temperature, top_p, min_p, repetition_penalty, length_penalty, penalty_alpha;
  std::string do_sample;  // "true", "false", or nothing: as the temperature says
  std::optional<std::int64_t> top_k, no_repeat_ngram, num_beams, num_return_sequences, lookup;
  std::int64_t top_logprobs = 0, seed = 0;
  std::string early_stopping;
  std::string suppressed;
  std::vector<std::string> stop;
  // Of a model of zeta.
  std::optional<double> top_k_share, top_a;
  std::optional<std::int64_t> max_mem_len;
  bool loss = false;
  std::string device = "auto", kernels = "auto", resize = "config", orientation = "exif";
  bool reference = false;
  // Scenes of the tiny world, to draw or to be scored on.
  std::optional<std::string> description;
  std::string split = "test";
  std::optional<std::int64_t> scenes;
  bool masks = false, board = false;
  std::int64_t rounds = 5;  // of `bench`
  bool sparse = false;      // of `init`
  TrainingFlags training;
  SearchFlags search;
  // How to embed.
  std::string pool = "auto";
  bool projected = false, normalize = false, cosine = false;
  // What to show.
  std::string output, dump, trace;
  bool json = false, perf = false, skip_special_tokens = false;
  std::int64_t verbosity = 1;
  // Named so that they can be refused by name.
  std::string report;

  ExecutorOptions executor(std::filesystem::path model_path) const;
  PipelineOptions pipeline() const;                 // all but the folders of model and adapter
  ReadOptions reading(const Config& config) const;  // of pictures
  SamplerOptions sampler() const;                   // of a model that says nothing itself
  // What is not said is the model's to say. Throws UsageError for what does not go together.
  ReplyOptions reply(const Config& config) const;
};

// Throws UsageError for a value out of range or a flag that is not there yet.
void check(const Options& options);
void check_training(const Options& options);  // what only `finetune` has
void check_train_tiny(const Options& options);
void check_what_is_learned(const TrainingFlags& flags);  // and `bench`

// Throws UsageError unless the value is one of these.
void check_one_of(const char* flag, const std::string& value,
                  std::initializer_list<const char*> allowed);

// On stderr, all in one line and each once, unless -q was given.
void print_notes(const Options& options, const std::vector<std::string>& notes);

}  // namespace paligemma::cli
