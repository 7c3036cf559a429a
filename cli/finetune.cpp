// Teaches a model from the lines of a file, and writes what came of it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "cli/commands.h"
#include "cli/listeners.h"
#include "cli/model_folder.h"
#include "cli/training_log.h"
#include "cli/training_rules.h"
#include "cli/training_run.h"
#include "engine/learners.h"
#include "paligemma/pipeline.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/paths.h"
#include "tensor/write_file.h"
#include "train/curve.h"
#include "train/learned_model.h"
#include "train/loop.h"

namespace paligemma::cli {
namespace {

namespace fs = std::filesystem;

class Run {
 public:
  explicit Run(const Options& o)
      : options_(o),
        flags_(o.training),
        found_(find_model(o)),
        folder_(checkpoint_folder(found_.path)),
        device_(choose_device(o.executor(found_.path))),
        config_(config_of(o, found_.path)),
        checkpoint_(found_.path, with_all_that_is_stored(config_)),
        tokenizer_(o.tokenizer.empty() ? folder_ : fs::path(o.tokenizer), config_.image_token,
                   static_cast<TokenId>(config_.text.vocabulary)),
        examples_(flags_.data, config_, tokenizer_, flags_.skip_bad) {
    config_ = checkpoint_.as_stored(config_);
    if (!flags_.validation.empty()) {
      validation_.emplace(flags_.validation, config_, tokenizer_, flags_.skip_bad);
    }
    rules_ = training_rules(o, examples_.count(), checkpoint_.format());
    rules_.optimizer.orthogonalize = orthogonalizer(device_);
  }

  int all() {
    Parameters parameters = chosen_parameters(checkpoint_, config_, rules_);
    Optimizer optimizer(rules_.optimizer, parameters.all());
    const RunFolder out(options_.out, saved_run_file(options_.out));
    const std::string run = identity_of(options_, rules_, checkpoint_);
    RunState state = saved_state(options_.out, run, parameters, optimizer);
    TrainingLog log(flags_.log, state.step);
    if (!flags_.curve.empty()) check_writable(flags_.curve);
    const auto learner = open_learner(device_, config_, parameters, rules_.learner);
    print_notes(options_, {device_.note, found_.note, tokenizer_.note(), skipped_note()});
    const Index before = state.step, steps = rules_.loop.schedule.steps;

    LineLessons lessons(rules_.lines, examples_, validation_ ? &*validation_ : nullptr);
    Loop loop(rules_.loop, *learner, parameters, optimizer, lessons);
    Progress progress(options_.verbosity >= 1);
    LoopListener listener;
    double seconds = 0;
    listener.on_step = [&](const StepReport& report) {
      log.add(report);
      seconds += report.seconds;
      progress.trained(report.step, steps, report.loss,
                       static_cast<double>(report.tokens) / report.seconds,
                       seconds / static_cast<double>(report.step - before) *
                           static_cast<double>(steps - report.step));
    };
    listener.on_best = [&] { write_what_was_learned(parameters); };
    listener.save = [&] {
      save_run(options_.out, run, state, parameters.all(), optimizer);
      if (!flags_.curve.empty()) write_file(flags_.curve, curve_svg(state, found_.id));
    };
    listener.is_stopped = [] { return signal_seen() != 0; };
    note_signals();
    keep_memory();
    const bool is_done = loop.run(state, listener);
    progress.clear();
    if (lessons.skipped() > 0) {
      print_notes(options_, {std::to_string(lessons.skipped()) + " pictures could not be decoded"});
    }
    if (!is_done) {
      std::fprintf(stderr, "paligemma: stopped after step %td of %td; the same command goes on\n",
                   state.step, steps);
      return 128 + signal_seen();
    }
    tell(state, before);
    return 0;
  }

 private:
  static Config config_of(const Options& o, const fs::path& model) {
    Config config = read_config(checkpoint_folder(model));
    if (const auto filter = o.pipeline().resample) {
      config.resample = *filter;
      config.samples_picture = false;
    }
    return config;
  }

  static std::string whole_path(const fs::path& path) {
    std::error_code error;
    const fs::path whole = fs::absolute(path, error);
    return error ? path.string() : whole.string();
  }

  // A pooling head is not learned, but written again.
  static Config with_all_that_is_stored(Config config) {
    config.pooling_head = true;
    return config;
  }

  std::string skipped_note() const {
    if (examples_.skipped() == 0) return "";
    return std::to_string(examples_.skipped()) +
           " lines are passed over, the first: " + examples_.first_problem();
  }

  void write_what_was_learned(const Parameters& parameters) const {
    if (rules_.lora) {
      const bool is_hub_name = !is_there(options_.model) && found_.id.find('/') != found_.id.npos;
      write_learned_adapter(options_.out, is_hub_name ? found_.id : whole_path(folder_),
                            *rules_.lora, parameters);
    } else {
      write_learned_model(options_.out, folder_, checkpoint_, config_, parameters);
    }
  }

  void tell(const RunState& state, Index before) const {
    std::vector<Field> fields{{"step", state.step}};
    std::string text = "step " + std::to_string(state.step);
    char number[32];
    const auto add = [&](const char* name, const char* words, double value) {
      fields.push_back({name, value});
      std::snprintf(number, sizeof number, "%s%.4f", words, value);
      text += number;
    };
    if (!state.losses.empty()) add("loss", ": loss ", state.losses.back());
    if (!state.validations.empty()) {
      const auto best =
          std::ranges::min_element(state.validations, {}, &RunState::Validation::loss);
      add("validation_loss", ", validation ", best->loss);
      fields.push_back({"validation_step", static_cast<Index>(best->step)});
      text += " at step " + std::to_string(static_cast<Index>(best->step));
    }
    if (before == state.step) text += "; there was nothing left to do";
    std::cout << (options_.json ? object(fields).text() : text) << "\n";
  }

  const Options& options_;
  const TrainingFlags& flags_;
  ModelFolder found_;
  fs::path folder_;
  Device device_;
  Config config_;
  Checkpoint checkpoint_;
  Tokenizer tokenizer_;
  Examples examples_;
  std::optional<Examples> validation_;
  TrainingRules rules_;
};

}  // namespace

int run_finetune(const Options& options) { return Run(options).all(); }

}  // namespace paligemma::cli
