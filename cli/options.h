// What the command line says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace paligemma {
struct BeamOptions;
struct Config;
struct ExecutorOptions;
struct PipelineOptions;
struct ReadOptions;
struct SamplerOptions;
struct TokenRules;
}  // namespace paligemma

namespace paligemma::cli {

enum class Command {
  none,  // a prompt in the user's own words
  caption,
  answer,
  detect,
  segment,
  ocr,
  scene,
  eval,
  bench,
  quantize,
  init,
  inspect,
  tokenize,
  completion_bash
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
  std::string model, hf_repo, revision = "main", tokenizer, mask_decoder, dtype = "auto";
  std::string softcap = "config", sliding_window = "config";
  // What to ask.
  std::vector<std::string> images;
  std::string pixels;
  std::optional<std::string> prompt;
  std::string prompt_file, language = "en", question;
  std::string tokens;  // of a model of zeta
  std::vector<std::string> things;
  // How to answer.
  std::optional<std::int64_t> max_tokens, threads;
  std::optional<float> temperature;
  std::string do_sample;  // "true", "false", or nothing: as the temperature says
  float top_p = 1;
  std::int64_t top_k = 0, seed = 0;
  float min_p = 0, repetition_penalty = 1;
  std::int64_t no_repeat_ngram = 0, top_logprobs = 0;
  std::int64_t num_beams = 1, num_return_sequences = 1;
  float length_penalty = 1;
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
  // What to show.
  std::string output, dump, trace;
  bool json = false, perf = false, skip_special_tokens = false;
  std::int64_t verbosity = 1;
  // Named so that they can be refused by name.
  bool jsonl = false;
  std::string report;

  ExecutorOptions executor(std::filesystem::path model_path) const;
  PipelineOptions pipeline() const;                 // all but the model's folder
  ReadOptions reading(const Config& config) const;  // of pictures
  SamplerOptions sampler() const;
  BeamOptions beams() const;
  TokenRules rules(const Config& config) const;  // throws UsageError for an id that there is not
};

// Throws UsageError for a value out of range or a flag that is not there yet.
void check(const Options& options);

// On stderr, all in one line and each once, unless -q was given.
void print_notes(const Options& options, const std::vector<std::string>& notes);

}  // namespace paligemma::cli
