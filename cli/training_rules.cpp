#include "cli/training_rules.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>

#include "tensor/json.h"
#include "tensor/mapped_file.h"
#include "tensor/pattern.h"

namespace paligemma::cli {
namespace {

constexpr const char* kUsualTargets = ".*language_model\\..*\\.(q|k|v|o|gate|up|down)_proj";

std::function<bool(const std::string&)> unless(const std::string& flag, const std::string& text) {
  if (text.empty()) return [](const std::string&) { return true; };
  try {
    return [pattern = Pattern(text)](const std::string& name) { return !pattern.is_in(name); };
  } catch (const PatternError& error) {
    throw UsageError(flag + " " + error.what());
  }
}

LoraRule lora_rule(const TrainingFlags& t, std::uint64_t seed) {
  LoraRule rule;
  rule.rank = *t.lora;
  rule.alpha = t.lora_alpha.value_or(static_cast<double>(rule.rank));
  rule.seed = seed;
  try {
    rule.is_target = lora_targets(t.lora_targets.empty() ? kUsualTargets : t.lora_targets);
  } catch (const PatternError& error) {
    throw UsageError(std::string("--lora-targets ") + error.what());
  }
  return rule;
}

Schedule schedule_of(const TrainingFlags& t, Index lines, Index at_once) {
  const std::map<std::string, Decay> decays{{"constant", Decay::constant},
                                            {"linear", Decay::linear},
                                            {"cosine", Decay::cosine},
                                            {"rsqrt", Decay::rsqrt}};
  const Index all = lines * t.epochs.value_or(1);
  return {.decay = decays.at(t.schedule),
          .warmup = t.warmup.value_or(0),
          .steps = t.steps.value_or((all + at_once - 1) / at_once)};
}

// FNV-1a, to tell one file from another.
class Fingerprint {
 public:
  void add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {
      hash_ = (hash_ ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3;
    }
  }
  std::string text() const {
    char text[20];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash_));
    return text;
  }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

std::string fingerprint_of(const std::string& path) {
  if (path.empty()) return "";
  const MappedFile file(path);
  Fingerprint print;
  print.add(file.bytes());
  return print.text();
}

// Of the first numbers of each tensor: all of a large model would take too long.
std::string fingerprint_of(const Checkpoint& checkpoint) {
  constexpr std::size_t kFirst = 256;
  Fingerprint print;
  for (const auto& [name, entry] : checkpoint.tensors()) {
    print.add(std::as_bytes(std::span(name)));
    print.add(entry.bytes.first(std::min(kFirst, entry.bytes.size())));
  }
  return print.text();
}

}  // namespace

TrainingRules training_rules(const Options& o, Index lines, WeightFormat stored) {
  const TrainingFlags& t = o.training;
  const auto seed = static_cast<std::uint64_t>(o.seed);
  constexpr Index kUsualBatch = 8;
  TrainingRules rules;
  LoopOptions& loop = rules.loop;
  LineOrder& order = rules.lines;
  order.batch = o.batch.value_or(std::min(kUsualBatch, lines));
  order.accumulate = t.accumulate.value_or(1);
  order.shuffles = t.shuffle == "true";
  order.skip_bad = t.skip_bad;
  order.seed = seed;
  loop.rate = t.rate.value_or(t.lora ? 1e-4 : 1e-5);
  loop.schedule = schedule_of(t, lines, order.batch * order.accumulate);
  loop.clip = t.clip;
  loop.every = t.every.value_or(0);

  rules.optimizer.kind = *optimizer_named(t.optimizer);
  rules.optimizer.decay = t.weight_decay;
  rules.optimizer.is_decayed = unless("--no-decay", t.no_decay);
  rules.optimizer.ema = t.ema;
  if (t.lora) rules.lora = lora_rule(t, seed);
  rules.is_learned = unless("--freeze", t.freeze);

  // What is learned is float32, and so is the rest, unless something else is asked for; beside an adapter all stays as
  // it is stored.
  rules.learner.format = weight_format_named(o.dtype).value_or(t.lora ? stored : WeightFormat::f32);
  rules.learner.rule = {.recompute = t.recompute == "blocks" ? Recompute::blocks : Recompute::none,
                        .smoothing = static_cast<float>(t.smoothing),
                        .dropout = static_cast<float>(t.dropout),
                        .seed = seed};
  if (!t.lora && (is_quantized(stored) || is_quantized(rules.learner.format))) {
    throw UsageError("weights of 8 or 4 bits are not learned; --lora learns beside them");
  }
  return rules;
}

Parameters chosen_parameters(Checkpoint& checkpoint, const Config& config,
                             const TrainingRules& rules) {
  if (!rules.lora) {
    Parameters parameters(checkpoint, config, rules.is_learned);
    if (parameters.all().empty()) throw UsageError("--freeze: nothing is left to learn");
    return parameters;
  }
  try {
    return Parameters(checkpoint, config, *rules.lora);
  } catch (const std::invalid_argument& error) {
    throw UsageError(std::string("--lora-targets: ") + error.what());
  }
}

std::string identity_of(const Options& o, const TrainingRules& rules,
                        const Checkpoint& checkpoint) {
  const TrainingFlags& t = o.training;
  std::vector<Field> fields{{"model", fingerprint_of(checkpoint)},
                            {"data", fingerprint_of(t.data)},
                            {"validation", fingerprint_of(t.validation)},
                            {"dtype", name_of(rules.learner.format)},
                            {"batch", rules.lines.batch},
                            {"accumulate", rules.lines.accumulate},
                            {"lr", rules.loop.rate},
                            {"schedule", t.schedule},
                            {"warmup", rules.loop.schedule.warmup},
                            {"optimizer", t.optimizer},
                            {"weight_decay", t.weight_decay},
                            {"no_decay", t.no_decay},
                            {"clip", t.clip},
                            {"dropout", t.dropout},
                            {"label_smoothing", t.smoothing},
                            {"ema", t.ema},
                            {"freeze", t.freeze},
                            {"shuffle", t.shuffle},
                            {"seed", o.seed}};
  if (t.schedule == "linear" || t.schedule == "cosine") {
    fields.push_back({"steps", rules.loop.schedule.steps});
  }
  if (rules.lora) {
    fields.push_back({"lora", rules.lora->rank});
    fields.push_back({"lora_alpha", rules.lora->alpha});
    fields.push_back({"lora_targets", t.lora_targets});
  }
  return object(fields).text();
}

}  // namespace paligemma::cli
