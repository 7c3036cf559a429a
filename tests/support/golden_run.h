// A run on a golden checkpoint, as tests/golden/make_training_golden.py has torch's.
#pragma once

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "tests/support/run_options.h"
#include "tests/support/training_golden.h"
#include "train/loop.h"

namespace paligemma::test {

// Two lines a step, in the order of the file.
inline RunOptions golden_options() {
  return {.batch = 2, .rate = 1e-4, .schedule = {.steps = 6}, .shuffles = false};
}

struct GoldenRun {
  TrainingGolden golden;
  Tokenizer tokenizer;
  Examples examples, validation;
  Parameters parameters;
  Optimizer optimizer;
  RunState state;
  std::vector<StepReport> reports;

  explicit GoldenRun(int version)
      : GoldenRun(version, Parameters::Choice([](const std::string&) { return true; })) {}
  // `learned` is a choice of tensors, or a LoraRule.
  template <class Learned>
  GoldenRun(int version, const Learned& learned)
      : golden(version),
        tokenizer(golden.folder, golden.config.image_token,
                  static_cast<TokenId>(golden.config.text.vocabulary)),
        examples(golden.training / "lines.jsonl", golden.config, tokenizer, false),
        validation(golden.training / "lines.jsonl", golden.config, tokenizer, false),
        parameters(golden.checkpoint, golden.config, learned),
        optimizer({.decay = 0.01}, parameters.all()) {}

  // To the end, or until the step `last` is done.
  bool run(const RunOptions& options, LoopListener listener = {}, Index last = -1,
           const LearnerOptions& how = {}) {
    const auto learner = make_learner(reference, golden.config, parameters, how);
    LineLessons lessons(options.lines(), examples, options.every > 0 ? &validation : nullptr);
    Loop loop(options.loop(), *learner, parameters, optimizer, lessons);
    listener.on_step = [&](const StepReport& report) { reports.push_back(report); };
    listener.is_stopped = [&] { return state.step == last; };
    return loop.run(state, listener);
  }
};

// Whether both have learned the same to the last bit.
inline bool same_numbers(const Parameters& a, const Parameters& b) {
  for (std::size_t i = 0; i < a.all().size(); ++i) {
    const auto x = a.all()[i].value.view(), y = b.all()[i].value.view();
    const auto bytes = static_cast<std::size_t>(x.count()) * sizeof(float);
    if (x.shape() != y.shape() || std::memcmp(x.data(), y.data(), bytes) != 0) return false;
  }
  return a.all().size() == b.all().size();
}

}  // namespace paligemma::test
