#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "cli/command_flags.h"
#include "cli/search_flags.h"
#include "cli/spelling.h"
#include "cli/training_flags.h"

namespace paligemma::cli {
namespace {

// CLI11's description of it all, which writes into the options.
class Parser {
 public:
  explicit Parser(Options& options) : options_(options) {
    add_flags(options);
    add_commands(options);
  }
  void parse(std::vector<std::string> arguments);
  std::string help() const { return app_.help(); }
  std::vector<std::string> names() const;  // "--model", "-m", ..., "caption", ...

 private:
  void add_flags(Options& o);
  void add_commands(Options& o);
  void check_flags() const;
  static void check_values(const CLI::App& app);
  std::string unknown_argument() const;

  Options& options_;
  CLI::App app_{"PaliGemma: a picture and a prompt in; a caption, an answer or boxes out.",
                "paligemma"};
};

void Parser::add_flags(Options& o) {
  CLI::App& app = app_;
  app.option_defaults()->group("Common");
  app.set_help_flag("-h,--help", "Show this help");
  app.add_option("-m,--model", o.model,
                 "Checkpoint folder, .safetensors file, preset, ORG/NAME in the local hub cache or "
                 "kaggle://HANDLE (default: the built-in tiny model)");
  app.add_option("--image", o.images, "Picture; - reads standard input")->allow_extra_args(false);
  app.add_option("--pixels", o.pixels, "A .npy file in its place, [3, R, R] or [R, R, 3]");
  app.add_option("-p,--prompt", o.prompt, "What to ask (none: ask line by line)");
  app.add_option("-f,--file", o.prompt_file, "Read the prompt from a file; - reads standard input");
  app.add_option("-n,--max-tokens", o.max_tokens, "Longest answer, in tokens (default: 100)");
  app.add_option("-t,--threads", o.threads, "Threads (default: all cores)");
  app.add_option("--device", o.device, "auto, cpu, cuda[:N] or emulated");
  app.add_option("--kernels", o.kernels, "auto, or the CPU's kernels by name: portable, avx2, ...");
  app.add_flag("--list-devices", o.list_devices, "List the devices");
  app.add_flag("--version", o.version, "Show version, commit and executors");
  app.add_flag("--help-all", o.help_all, "Show this help and every alias");
  app.add_option("--lang", o.language, "Language of caption and answer (default: en)");

  app.option_defaults()->group("Model");
  app.add_option("--hf-repo", o.hf_repo, "ORG/NAME in the local hub cache");
  app.add_option("--revision", o.revision, "Its revision (default: main)");
  app.add_option("--adapter", o.adapter, "Folder of a LoRA adapter, as PEFT writes it");
  app.add_option("--tokenizer", o.tokenizer, "tokenizer.model or .json, if not beside the model");
  app.add_option("--mask-decoder", o.mask_decoder, "vae-oid.npz, if not beside the model");
  app.add_option("--dtype", o.dtype, "Weights in memory: auto, f32, bf16, f16, int8 or int4");
  app.add_option("--softcap", o.softcap, "config or off");
  app.add_option("--sliding-window", o.sliding_window, "config or off");
  app.add_option("--resize", o.resize, "config, bilinear or bicubic");
  app.add_option("--orientation", o.orientation,
                 "exif: pictures upright as EXIF or XMP says (default), or ignore");
  app.add_flag("--reference", o.reference, "Run the plain loops");

  app.option_defaults()->group("Many pictures");
  app.add_option("--jsonl", o.jsonl, "One question a line, as JSON; - is standard input");
  app.add_option("--out", o.out, "Append the answers to this file, and go on where it ends");
  app.add_option("--shard", o.shard, "I/N: every N-th line, from line I + 1");
  app.add_option("--batch", o.batch, "Answers that grow side by side (default: 8)");

  app.option_defaults()->group("Sampling");
  app.add_option("--temperature", o.temperature, "0: greedy (default)");
  app.add_option("--top-p", o.top_p, "Mass of the tokens drawn from (default: 1)");
  app.add_option("--top-k", o.top_k, "Number of the tokens drawn from (default: 0, all)");
  app.add_flag("--do-sample", o.do_sample, "Draw; =false forces greedy");
  app.add_option("--min-p", o.min_p, "Least share of the best token's probability (default: 0)");
  app.add_option("-s,--seed", o.seed, "Seed of the draw (default: 0)");
  app.add_option("--repetition-penalty", o.repetition_penalty,
                 "Penalty of tokens that are there already (default: 1)");
  app.add_option("--no-repeat-ngram-size", o.no_repeat_ngram,
                 "Size of n-grams that never repeat (default: 0)");
  app.add_option("--suppress-tokens", o.suppressed, "Ids that are never chosen, 1,2 say");
  app.add_option("--prompt-lookup", o.lookup, "Tokens guessed from the text so far (default: 0)");
  app.add_option("--num-beams", o.num_beams, "Beams of the search (default: 1, none)");
  app.add_option("--length-penalty", o.length_penalty,
                 "Power of the length that scores are divided by (default: 1)");
  app.add_flag("--early-stopping", o.early_stopping,
               "When the search ends: =true, =false (default) or =never");
  app.add_option("--penalty-alpha", o.penalty_alpha,
                 "Weight of likeness in contrastive search (default: 0, none)");
  app.add_option("--num-return-sequences", o.num_return_sequences,
                 "Number of answers (default: 1)");
  app.add_option("--stop", o.stop, "Text that ends the answer; may be repeated")
      ->allow_extra_args(false);

  app.option_defaults()->group("PalmE and Transformer, of zeta");
  app.add_option("--tokens", o.tokens, "Ids to begin with, 5,3,2 say, instead of a prompt");
  app.add_flag("--loss", o.loss, "Print how surprised the model is by these tokens");
  app.add_option("--top-k-share", o.top_k_share, "Share of the tokens to leave out, 0.9 say");
  app.add_option("--top-a", o.top_a, "Leave out what is below this times the best one squared");
  app.add_option("--max-mem-len", o.max_mem_len, "Rows that a segment remembers of those before");

  app.option_defaults()->group("Output");
  app.add_option("-o,--output", o.output,
                 "Write the picture with boxes and masks (.png, .jpg, .bmp, .tga, or -)");
  app.add_flag("--json", o.json, "One JSON object");
  app.add_option("--top-logprobs", o.top_logprobs,
                 "The K likeliest tokens at each place, with --json");
  app.add_flag("--skip-special-tokens", o.skip_special_tokens,
               "Leave <loc> and <seg> out of the text");

  app.option_defaults()->group("Inspection");
  app.add_flag("--perf", o.perf, "Time of each phase, on stderr");
  app.add_option("--dump", o.dump, "Write every tap as DIR/NAME.npy");
  app.add_option("--report", o.report, "(not there yet)");
  app.add_option("--trace", o.trace, "Write what took how long, for Perfetto or chrome://tracing");
  app.add_option("--verbosity", o.verbosity, "0 answer only, 1 notes, 2 details");
  app.add_flag_callback(
      "-v", [&o] { o.verbosity = 2; }, "--verbosity 2");
  app.add_flag_callback(
      "-q", [&o] { o.verbosity = 0; }, "--verbosity 0");

  app.footer(
      "Examples:\n"
      "  paligemma caption photo.jpg\n"
      "  paligemma detect photo.jpg \"cat ; dog\" -o boxes.png\n"
      "  paligemma -m google/paligemma-3b-mix-224 --image photo.jpg -p \"caption de\"");
}

void Parser::add_commands(Options& o) {
  const auto command = [&](Command which, const char* name, const char* help) {
    CLI::App* added = app_.add_subcommand(name, help);
    added->fallthrough();
    added->set_help_flag("");
    added->callback([&o, which] { o.command = which; });
    return added;
  };
  CLI::App* caption = command(Command::caption, "caption", "Describe a picture: \"caption en\"");
  caption->add_option("arguments", o.things, "IMAGE");
  CLI::App* answer = command(Command::answer, "answer", "Answer a question: \"answer en ...\"");
  answer->add_option("arguments", o.things, "IMAGE QUESTION");
  CLI::App* detect = command(Command::detect, "detect", "Find things: \"detect cat ; dog\"");
  detect->add_option("arguments", o.things, "IMAGE THING...");
  CLI::App* segment = command(Command::segment, "segment", "Outline things: \"segment cat\"");
  segment->add_option("arguments", o.things, "IMAGE THING...");
  CLI::App* ocr = command(Command::ocr, "ocr", "Read text: \"ocr\"");
  ocr->add_option("arguments", o.things, "IMAGE");
  add_embed(*command(Command::embed, "embed", "Print pictures as numbers, to compare them"), o);
  add_search(*command(Command::search, "search", "Find pages by what they show, with a ColPali"),
             o);
  CLI::App* scene = command(Command::scene, "scene", "Draw a scene (-o), print what is on it");
  scene->add_option("description", o.description, "\"red circle @ 60,80\"; of a board xo..x...o");
  scene->add_option("--split", o.split,
                    "Without a description, scene number --seed of: train, val, "
                    "test or held-out");
  scene->add_flag("--masks", o.masks, "Print masks too");
  scene->add_flag("--board", o.board, "A board of noughts and crosses instead");
  CLI::App* eval = command(Command::eval, "eval", "Score the model on scenes of the tiny world");
  eval->add_option("--split", o.split, "test, held-out, val, train or other");
  eval->add_option("--scenes", o.scenes, "How many (default: 2000, or all of other)");
  add_data(*eval, o.training);
  add_training(*command(Command::finetune, "finetune", "Teach the model by examples"), o.training);
  add_train_tiny(*command(Command::train_tiny, "train-tiny", "Make the default model"), o.training);
  CLI::App* bench = command(Command::bench, "bench", "Time the model, beside the machine's limits");
  bench->add_option("--rounds", o.rounds, "Rounds, of which the median is given (default: 5)");
  add_training_bench(*bench, o.training);
  CLI::App* quantize =
      command(Command::quantize, "quantize", "Write a model with weights of 8 or 4 bits (--dtype)");
  quantize->add_option("model", o.model, "Checkpoint");
  quantize->add_option("out", o.output, "Folder to write");
  CLI::App* merge =
      command(Command::merge, "merge", "Write a model with an adapter's changes in its weights");
  merge->add_option("out", o.output, "Folder to write");
  CLI::App* init = command(Command::init, "init", "Write a model of random weights");
  init->add_option("size", o.model, "PRESET, paligemma-3b-mix-224 say, or a config.json");
  init->add_option("out", o.output, "Folder to write");
  init->add_flag("--sparse", o.sparse, "Headers alone; the weights are holes in the file");
  CLI::App* inspect = command(Command::inspect, "inspect", "Show what a checkpoint holds");
  inspect->add_option("model", o.model, "Checkpoint");
  CLI::App* tokenize = command(Command::tokenize, "tokenize", "Show a text's tokens");
  tokenize->add_option("text", o.prompt, "Text");
  tokenize->add_option("--padding", o.padding,
                       "left or right: the lines of a batch as others pad it");
  command(Command::presets, "presets", "List the published models, and which are on this disk");
  command(Command::completion_bash, "completion-bash", "Print completions for bash");
  app_.require_subcommand(0, 1);
}

void Parser::parse(std::vector<std::string> arguments) {
  try {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    app_.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    options_.help = true;
    return;
  } catch (const CLI::ExtrasError&) {
    throw UsageError(unknown_argument());
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  check_flags();
}

// What is empty would be passed over, as the model of -m "$MODEL" where there is no such variable.
void Parser::check_values(const CLI::App& app) {
  constexpr std::array kMayBeEmpty{"--prompt", "--image", "arguments", "text", "description"};
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    const auto& values = option->results();
    const bool is_empty = std::find(values.begin(), values.end(), "") != values.end();
    if (is_empty && std::find(kMayBeEmpty.begin(), kMayBeEmpty.end(), name) == kMayBeEmpty.end()) {
      throw UsageError(name + " is empty");
    }
  }
}

// No flag is passed over in silence: each is for this command, and nothing is said twice.
void Parser::check_flags() const {
  const auto commands = app_.get_subcommands();
  const CLI::App& command = commands.empty() ? app_ : *commands.front();
  check_values(app_);
  check_values(command);
  const std::string allowed = flags_of(options_.command);
  for (const CLI::Option* option : app_.get_options()) {
    const std::string flag = option->get_lnames().empty() ? "-" + option->get_snames().front()
                                                          : "--" + option->get_lnames().front();
    if (option->count() == 0 || allowed.find(" " + flag + " ") != allowed.npos) continue;
    throw UsageError(commands.empty() ? flag + " is for a command, see --help"
                                      : command.get_name() + " takes no " + flag);
  }

  const auto is_given = [&](const char* name) {
    const CLI::Option *own = command.get_option_no_throw(name),
                      *general = app_.get_option_no_throw(name);
    return (own != nullptr && own->count() > 0) || (general != nullptr && general->count() > 0);
  };
  constexpr std::array<std::array<const char*, 2>, 8> kEither{{{"-v", "-q"},
                                                               {"-v", "--verbosity"},
                                                               {"-q", "--verbosity"},
                                                               {"model", "--model"},
                                                               {"out", "--output"},
                                                               {"text", "--prompt"},
                                                               {"description", "--split"},
                                                               {"description", "--seed"}}};
  for (const auto& [one, other] : kEither) {
    if (is_given(one) && is_given(other)) {
      throw UsageError(std::string("both ") + one + " and " + other);
    }
  }
}

std::vector<std::string> Parser::names() const {
  std::vector<std::string> names;
  for (const CLI::Option* option : app_.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  for (const CLI::App* command : app_.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

// "unknown flag --temprature; did you mean --temperature?"
std::string Parser::unknown_argument() const {
  const auto extras = app_.remaining(true);
  const std::string typed = extras.empty() ? "" : extras.front();
  std::vector<std::string> known = names();
  std::erase_if(known, [](const std::string& name) { return name.size() == 2; });  // "-m"
  const std::string guess = nearest(typed.substr(0, typed.find('=')), known);
  return (typed.starts_with("-") ? "unknown flag " : "unknown argument ") + typed +
         (guess.empty() ? "; see --help" : "; did you mean " + guess + "?");
}

}  // namespace

Options parse(const std::vector<std::string>& arguments) {
  Options options;
  Parser(options).parse(arguments);
  return options;
}

std::string help_text() {
  Options options;
  return Parser(options).help();
}

std::vector<std::string> flags_and_commands() {
  Options options;
  return Parser(options).names();
}

}  // namespace paligemma::cli
