#include "cli/training_flags.h"

#include <CLI/CLI.hpp>
#include <cmath>

namespace paligemma::cli {
namespace {

void require(bool fits, const std::string& rule) {
  if (!fits) throw UsageError(rule);
}

// What changes how long a step takes.
void add_what_is_learned(CLI::App& command, TrainingFlags& t) {
  command.add_option("--freeze", t.freeze, "Tensors that stay as they are: a regular expression");
  command.add_option("--lora", t.lora, "Learn an adapter of this rank, and nothing else");
  command.add_option("--lora-targets", t.lora_targets,
                     "Layers, as PEFT names them: names with commas, a regular expression, or "
                     "all-linear (default: those of the language model)");
  command.add_option("--recompute", t.recompute,
                     "none (default) or blocks: less memory, more time");
}

void check_learns_here(const Options& o) {
  require(o.device == "auto" || o.device == "cpu",
          "--device " + o.device + ": a model learns on the CPU alone");
}

}  // namespace

void add_data(CLI::App& command, TrainingFlags& t) {
  command.add_option("--data", t.data, "Lines {\"image\", \"prefix\", \"suffix\"}");
  command.add_flag("--skip-bad", t.skip_bad, "Pass over lines that cannot be read");
}

void add_training_bench(CLI::App& command, TrainingFlags& t) {
  command.add_flag("--train", t.is_measured, "Time a step of learning instead");
  add_what_is_learned(command, t);
}

void add_training(CLI::App& command, TrainingFlags& t) {
  add_data(command, t);
  add_what_is_learned(command, t);
  command.add_option("--validation", t.validation, "More such lines; the best weights are kept");
  command.add_option("--epochs", t.epochs, "How often all lines are learned (default: 1)");
  command.add_option("--steps", t.steps, "Or how many steps there are");
  command.add_option("--accumulate", t.accumulate, "Batches a step (default: 1)");
  command.add_option("--lr", t.rate, "Learning rate (default: 1e-5; 1e-4 with --lora)");
  command.add_option("--schedule", t.schedule, "constant, linear, cosine (default) or rsqrt");
  command.add_option("--warmup", t.warmup, "Steps until the rate is whole (default: 0)");
  command.add_option("--optimizer", t.optimizer, "adamw (default), muon, adafactor or sgd");
  command.add_option("--weight-decay", t.weight_decay, "Default: 0");
  command.add_option("--no-decay", t.no_decay, "Tensors that do not decay: a regular expression");
  command.add_option("--clip", t.clip, "Longest gradient (default: 1; 0: any)");
  command.add_option("--dropout", t.dropout,
                     "Share that is left out, where Keras does (default: 0)");
  command.add_option("--ema", t.ema, "Decay of a mean of the weights, which is kept (default: 0)");
  command.add_option("--label-smoothing", t.smoothing, "Default: 0");
  command.add_option("--lora-alpha", t.lora_alpha, "Its scale, times the rank (default: the rank)");
  command.add_option("--every", t.every, "Steps between two checkpoints and validations");
  command.add_option("--shuffle", t.shuffle, "true (default) or false");
  command.add_option("--log", t.log, "Write a line a step");
  command.add_option("--curve", t.curve, "Draw the losses (.svg)");
}

void add_train_tiny(CLI::App& command, TrainingFlags& t) {
  command.add_option("--steps", t.steps, "At most so many of each stage, to try it out");
  command.add_option("--photos", t.photos, "Folder of pictures in which there are no shapes");
}

void check_train_tiny(const Options& o) {
  check_learns_here(o);
  require(!o.out.empty(), "say where to write: train-tiny --out FOLDER");
  require(o.training.steps.value_or(1) >= 1, "--steps must be at least 1");
}

void check_what_is_learned(const TrainingFlags& t) {
  require(!t.lora || (*t.lora >= 1 && *t.lora <= 1 << 16), "--lora must be from 1 to 65536");
  require(t.lora || (!t.lora_alpha && t.lora_targets.empty()),
          "--lora-alpha and --lora-targets are for --lora");
  require(!t.lora || t.freeze.empty(), "--freeze: with --lora all of the model is frozen");
  check_one_of("--recompute", t.recompute, {"none", "blocks"});
}

void check_training(const Options& o) {
  const TrainingFlags& t = o.training;
  check_what_is_learned(t);
  constexpr std::int64_t kMost = std::int64_t{1} << 24;
  const auto in_range = [](const std::optional<std::int64_t>& value, std::int64_t low,
                           std::int64_t high, const std::string& flag) {
    require(!value || (*value >= low && *value <= high),
            flag + " must be from " + std::to_string(low) + " to " + std::to_string(high));
  };
  check_learns_here(o);
  require(!t.data.empty(), "say what to learn: finetune -m MODEL --data FILE.jsonl --out FOLDER");
  require(!o.out.empty(), "say where to write: --out FOLDER");
  require(!t.epochs || !t.steps, "both --epochs and --steps");
  in_range(t.epochs, 1, kMost, "--epochs");
  in_range(t.steps, 1, kMost, "--steps");
  in_range(t.accumulate, 1, kMost, "--accumulate");
  in_range(t.warmup, 0, kMost, "--warmup");
  in_range(t.every, 1, kMost, "--every");
  const auto finite = [](double value, const std::string& flag) {
    require(value >= 0 && std::isfinite(value), flag + " must be 0 or more");
  };
  finite(t.rate.value_or(0), "--lr");
  finite(t.weight_decay, "--weight-decay");
  finite(t.clip, "--clip");
  const auto share = [](double value, const std::string& flag) {
    require(value >= 0 && value < 1, flag + " must be 0 or more and below 1");
  };
  share(t.smoothing, "--label-smoothing");
  share(t.dropout, "--dropout");
  share(t.ema, "--ema");
  require(std::isfinite(t.lora_alpha.value_or(0)), "--lora-alpha must be a number");
  check_one_of("--schedule", t.schedule, {"constant", "linear", "cosine", "rsqrt"});
  check_one_of("--optimizer", t.optimizer, {"adamw", "muon", "adafactor", "sgd"});
  check_one_of("--shuffle", t.shuffle, {"true", "false"});
}

}  // namespace paligemma::cli
