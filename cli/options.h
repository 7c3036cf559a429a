// What the command line says.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "paligemma/pipeline.h"

namespace paligemma::cli {

// A flag or argument that makes no sense: exit code 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Options {
  // Instead of an answer.
  bool help_all = false, version = false, list_devices = false;
  // Which model.
  std::string model, hf_repo, revision = "main", tokenizer, mask_decoder, dtype = "auto";
  std::string softcap = "config", sliding_window = "config";
  // What to ask.
  std::vector<std::string> images;
  std::optional<std::string> prompt;
  std::string prompt_file, language = "en", question;
  std::vector<std::string> things;
  // How to answer.
  std::optional<std::int64_t> max_tokens, threads;
  std::optional<float> temperature;
  std::string do_sample;  // "true", "false", or nothing: as the temperature says
  float top_p = 1;
  std::int64_t top_k = 0, seed = 0;
  std::string device = "auto", resize = "config";
  bool reference = false;
  // Scenes of the tiny world, to draw or to be scored on.
  std::optional<std::string> description;
  std::string split = "test";
  std::optional<std::int64_t> scenes;
  bool masks = false;
  std::int64_t rounds = 5;  // of `bench`
  // What to show.
  std::string output, dump, trace;
  bool json = false, perf = false, skip_special_tokens = false;
  std::int64_t verbosity = 1;
  // Named so that they can be refused by name.
  bool jsonl = false;
  std::string report;

  PipelineOptions pipeline() const;  // all but the model's folder
  SamplerOptions sampler() const;
};

// The commands that ask the model something, besides the general form without a command.
struct Commands {
  CLI::App *caption, *answer, *detect, *segment, *ocr, *scene, *eval, *bench, *quantize, *inspect,
      *tokenize, *completion_bash;
};

Commands add_options(CLI::App& app, Options& options);

// Throws UsageError for a value out of range or a flag that is not there yet.
void check(const Options& options);

}  // namespace paligemma::cli
