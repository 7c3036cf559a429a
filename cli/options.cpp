#include "cli/options.h"

#include <cmath>
#include <limits>

namespace paligemma::cli {
namespace {

constexpr float kTemperatureWhenSampling = 0.8f;

void refuse(bool given, const char* flag) {
  if (given) throw UsageError(std::string(flag) + " is not there yet");
}

void require(bool fits, const std::string& rule) {
  if (!fits) throw UsageError(rule);
}

}  // namespace

Commands add_options(CLI::App& app, Options& o) {
  app.set_help_flag("-h,--help", "Show this help")->group("Common");
  app.add_option("-m,--model", o.model,
                 "Checkpoint folder, .safetensors file or ORG/NAME in the "
                 "local hub cache (default: the built-in tiny model)")
      ->group("Common");
  app.add_option("--image", o.images, "Picture; - reads standard input")
      ->allow_extra_args(false)
      ->group("Common");
  app.add_option("-p,--prompt", o.prompt, "What to ask (none: ask line by line)")->group("Common");
  app.add_option("-f,--file", o.prompt_file, "Read the prompt from a file")->group("Common");
  app.add_option("-n,--max-tokens", o.max_tokens, "Longest answer, in tokens (default: 100)")
      ->group("Common");
  app.add_option("-t,--threads", o.threads, "Threads (default: all cores)")->group("Common");
  app.add_option("--device", o.device, "auto, cpu, cuda[:N] or emulated")->group("Common");
  app.add_flag("--list-devices", o.list_devices, "List the devices")->group("Common");
  app.add_flag("--version", o.version, "Show version, commit and executors")->group("Common");
  app.add_flag("--help-all", o.help_all, "Show this help and every alias")->group("Common");

  const char* model = "Model";
  app.add_option("--hf-repo", o.hf_repo, "ORG/NAME in the local hub cache")->group(model);
  app.add_option("--revision", o.revision, "Its revision (default: main)")->group(model);
  app.add_option("--tokenizer", o.tokenizer, "tokenizer.model, if not beside the model")
      ->group(model);
  app.add_option("--mask-decoder", o.mask_decoder, "vae-oid.npz, if not beside the model")
      ->group(model);
  app.add_option("--dtype", o.dtype, "Weights in memory: auto, f32, bf16, f16, int8 or int4")
      ->group(model);
  app.add_option("--softcap", o.softcap, "config or off")->group(model);
  app.add_option("--sliding-window", o.sliding_window, "config or off")->group(model);
  app.add_option("--resize", o.resize, "config, bilinear or bicubic")->group(model);
  app.add_flag("--reference", o.reference, "Run the plain loops")->group(model);

  const char* sampling = "Sampling";
  app.add_option("--temperature", o.temperature, "0: greedy (default)")->group(sampling);
  app.add_option("--top-p", o.top_p, "Mass of the tokens drawn from (default: 1)")->group(sampling);
  app.add_option("--top-k", o.top_k, "Number of the tokens drawn from (default: 0, all)")
      ->group(sampling);
  app.add_flag("--do-sample", o.do_sample, "Draw; =false forces greedy")->group(sampling);
  app.add_option("-s,--seed", o.seed, "Seed of the draw (default: 0)")->group(sampling);

  const char* output = "Output";
  app.add_option("-o,--output", o.output, "Write the picture with boxes and masks as PNG")
      ->group(output);
  app.add_flag("--json", o.json, "One JSON object")->group(output);
  app.add_flag("--skip-special-tokens", o.skip_special_tokens,
               "Leave <loc> and <seg> out of the text")
      ->group(output);
  app.add_flag("--jsonl", o.jsonl, "(not there yet)")->group(output);

  const char* inspection = "Inspection";
  app.add_flag("--perf", o.perf, "Time of each phase, on stderr")->group(inspection);
  app.add_option("--dump", o.dump, "Write every tap as DIR/NAME.npy")->group(inspection);
  app.add_option("--report", o.report, "(not there yet)")->group(inspection);
  app.add_option("--trace", o.trace, "Write what took how long, for Perfetto or chrome://tracing")
      ->group(inspection);
  app.add_option("--verbosity", o.verbosity, "0 answer only, 1 notes, 2 details")
      ->group(inspection);
  app.add_flag_callback(
         "-v", [&o] { o.verbosity = 2; }, "--verbosity 2")
      ->group(inspection);
  app.add_flag_callback(
         "-q", [&o] { o.verbosity = 0; }, "--verbosity 0")
      ->group(inspection);

  app.footer(
      "Examples:\n"
      "  paligemma caption photo.jpg\n"
      "  paligemma detect photo.jpg \"cat ; dog\" -o boxes.png\n"
      "  paligemma -m google/paligemma-3b-mix-224 --image photo.jpg -p \"answer en what is "
      "this?\"");

  const auto command = [&](const char* name, const char* help) {
    CLI::App* added = app.add_subcommand(name, help);
    added->fallthrough();
    added->set_help_flag("");
    return added;
  };
  Commands c{};
  c.caption = command("caption", "Describe a picture: \"caption en\"");
  c.caption->add_option("arguments", o.things, "IMAGE");
  app.add_option("--lang", o.language, "Language of caption and answer (default: en)")
      ->group("Common");
  c.answer = command("answer", "Answer a question: \"answer en ...\"");
  c.answer->add_option("arguments", o.things, "IMAGE QUESTION");
  c.detect = command("detect", "Find things: \"detect cat ; dog\"");
  c.detect->add_option("arguments", o.things, "IMAGE THING...");
  c.segment = command("segment", "Outline things: \"segment cat\"");
  c.segment->add_option("arguments", o.things, "IMAGE THING...");
  c.ocr = command("ocr", "Read text: \"ocr\"");
  c.ocr->add_option("arguments", o.things, "IMAGE");
  c.scene = command("scene", "Draw a scene of the tiny world (-o), print what is on it");
  c.scene->add_option("description", o.description, "\"red circle @ 60,80; blue square\"");
  c.scene->add_option("--split", o.split,
                      "Without a description, scene number --seed of: train, val, "
                      "test or held-out");
  c.scene->add_flag("--masks", o.masks, "Print masks too");
  c.eval = command("eval", "Score the model on scenes of the tiny world");
  c.eval->add_option("--split", o.split, "test, held-out, val, train or other");
  c.eval->add_option("--scenes", o.scenes, "How many (default: 2000, or all of other)");
  c.bench = command("bench", "Time the model, beside what this machine can do at most");
  c.bench->add_option("--rounds", o.rounds, "Rounds, of which the median is given (default: 5)");
  c.quantize = command("quantize", "Write a model with weights of 8 or 4 bits (--dtype)");
  c.quantize->add_option("model", o.model, "Checkpoint");
  c.quantize->add_option("out", o.output, "Folder to write");
  c.inspect = command("inspect", "Show what a checkpoint holds");
  c.inspect->add_option("model", o.model, "Checkpoint");
  c.tokenize = command("tokenize", "Show a text's tokens");
  c.tokenize->add_option("text", o.prompt, "Text");
  c.completion_bash = command("completion-bash", "Print completions for bash");
  app.require_subcommand(0, 1);
  return c;
}

void check(const Options& o) {
  refuse(!o.report.empty(), "--report");
  refuse(o.jsonl, "--jsonl");
  require(o.images.size() <= 1, "several pictures: not there yet");
  require(o.scenes.value_or(1) >= 1 && o.scenes.value_or(1) <= 1 << 24,
          "--scenes must be from 1 to 16777216");
  require(o.rounds >= 1 && o.rounds <= 1000, "--rounds must be from 1 to 1000");
  require(o.max_tokens.value_or(1) >= 1, "--max-tokens must be at least 1");
  require(o.max_tokens.value_or(1) <= 1 << 24, "--max-tokens is too large");
  require(o.threads.value_or(1) >= 1 && o.threads.value_or(1) <= 1024,
          "--threads must be from 1 to 1024");
  const float temperature = o.temperature.value_or(0);
  require(temperature >= 0 && std::isfinite(temperature), "--temperature must be 0 or more");
  require(o.top_p >= 0 && o.top_p <= 1, "--top-p must be from 0 to 1");
  require(o.top_k >= 0, "--top-k must be 0 or more");
  require(o.seed >= 0, "--seed must be 0 or more");
  require(o.seed < std::numeric_limits<std::int64_t>::max(), "--seed is too large");
  require(o.verbosity >= 0 && o.verbosity <= 2, "--verbosity must be 0, 1 or 2");
  require(!(o.prompt && !o.prompt_file.empty()), "both --prompt and --file");
  require(o.model.empty() || o.hf_repo.empty(), "both --model and --hf-repo");

  const auto one_of = [](const char* flag, const std::string& value,
                         std::initializer_list<const char*> allowed) {
    std::string all;
    for (const char* word : allowed) {
      if (value == word) return;
      all += (all.empty() ? "" : ", ") + std::string(word);
    }
    throw UsageError(std::string(flag) + " " + value + ": must be one of " + all);
  };
  one_of("--split", o.split, {"test", "held-out", "val", "train", "other"});
  one_of("--do-sample", o.do_sample, {"", "true", "false"});
  one_of("--dtype", o.dtype, {"auto", "f32", "bf16", "f16", "int8", "int4"});
  one_of("--softcap", o.softcap, {"config", "off"});
  one_of("--sliding-window", o.sliding_window, {"config", "off"});
  one_of("--resize", o.resize, {"config", "bilinear", "bicubic"});
  const std::string number = o.device.substr(o.device.find(':') + 1);
  const bool numbered = o.device.starts_with("cuda:") && !number.empty() &&
                        number.find_first_not_of("0123456789") == number.npos;
  if (!numbered) one_of("--device", o.device, {"auto", "cpu", "cuda", "cuda:N", "emulated"});
}

PipelineOptions Options::pipeline() const {
  PipelineOptions p;
  if (!tokenizer.empty()) p.tokenizer = tokenizer;
  if (!mask_decoder.empty()) p.mask_decoder = mask_decoder;
  if (dtype == "f32") p.dtype = WeightFormat::f32;
  if (dtype == "bf16") p.dtype = WeightFormat::bf16;
  if (dtype == "f16") p.dtype = WeightFormat::f16;
  if (dtype == "int8") p.dtype = WeightFormat::int8_blocks;
  if (dtype == "int4") p.dtype = WeightFormat::int4_blocks;
  if (resize == "bilinear") p.resample = ResampleFilter::bilinear;
  if (resize == "bicubic") p.resample = ResampleFilter::bicubic;
  p.soft_cap = softcap == "config";
  p.sliding_window = sliding_window == "config";
  return p;
}

SamplerOptions Options::sampler() const {
  const bool draws = do_sample.empty() ? temperature.value_or(0) > 0 : do_sample == "true";
  return {draws ? temperature.value_or(kTemperatureWhenSampling) : 0, top_k, top_p,
          static_cast<std::uint64_t>(seed)};
}

}  // namespace paligemma::cli
