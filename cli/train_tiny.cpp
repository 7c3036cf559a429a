// Makes the default model from nothing: the stages of tiny/stages.h, one after the other.
#include <cstdio>
#include <iostream>

#include "cli/commands.h"
#include "cli/listeners.h"
#include "cli/model_folder.h"
#include "cli/training_log.h"
#include "cli/training_run.h"
#include "engine/learners.h"
#include "paligemma/pipeline.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/paths.h"
#include "tensor/write_file.h"
#include "tiny/scene_lessons.h"
#include "train/curve.h"
#include "train/learned_model.h"
#include "train/loop.h"

namespace paligemma::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHeadName = "dense_head.weight";
constexpr const char* kHeadBiasName = "dense_head.bias";
constexpr const char* kLogName = "log.jsonl";  // in a stage's folder, the first file of a run
constexpr Index kEvery = 50, kLogged = 10;  // steps between two checkpoints, and two lines of a log

class Run {
 public:
  explicit Run(const Options& o)
      : options_(o),
        folder_(checkpoint_folder(find_model(o).path)),
        device_(choose_device(o.executor(folder_))),
        config_(read_config(folder_)),
        checkpoint_(folder_, config_),
        tokenizer_(folder_, config_.image_token, static_cast<TokenId>(config_.text.vocabulary)),
        masks_(o.mask_decoder.empty() ? folder_ / "vae-oid.npz" : fs::path(o.mask_decoder)) {}

  int all() {
    const std::span<const tiny::Stage> stages = tiny::stages();
    const RunFolder out(options_.out, folder_of(stages.front()) / kLogName);
    print_notes(options_, {device_.note, tokenizer_.note()});
    note_signals();
    keep_memory();
    std::vector<Parameter> learned;
    for (tiny::Stage stage : stages) {
      if (const auto& steps = options_.training.steps) {
        stage.schedule.steps = std::min(stage.schedule.steps, *steps);
      }
      Parameters parameters = begun(stage, learned);
      if (!learn(stage, parameters)) return 128 + signal_seen();
      learned = std::move(parameters.all());
    }
    std::cout << (options_.json ? object({{"model", options_.out}}).text() : options_.out) << "\n";
    return 0;
  }

 private:
  fs::path folder_of(const tiny::Stage& stage) const { return fs::path(options_.out) / stage.name; }

  // What the stage learns, as far as the one before has come.
  Parameters begun(const tiny::Stage& stage, const std::vector<Parameter>& learned) {
    Parameters parameters(checkpoint_, config_, [&](const std::string& name) {
      return stage.asks || name.starts_with("vision_tower.");
    });
    parameters.add(kHeadName, {tiny::kDenseColumns, config_.vision.width});
    parameters.add(kHeadBiasName, {tiny::kDenseColumns});
    tiny::begin(parameters.all(), tokenizer_.encode("<loc0000>").front(),
                static_cast<std::uint64_t>(options_.seed));
    tiny::take(learned, parameters.all());
    return parameters;
  }

  std::string identity_of(const tiny::Stage& stage) const {
    return object({{"stage", std::string(stage.name)},
                   {"steps", stage.schedule.steps},
                   {"photos", options_.training.photos},
                   {"seed", options_.seed}})
        .text();
  }

  // False if it was stopped.
  bool learn(const tiny::Stage& stage, Parameters& parameters) {
    OptimizerRule rule = tiny::optimizer_rule(stage);
    rule.orthogonalize = orthogonalizer(device_);
    Optimizer optimizer(rule, parameters.all());
    const fs::path folder = folder_of(stage);
    const std::string run = identity_of(stage), name(stage.name);
    RunState state = saved_state(folder, run, parameters, optimizer);
    Parameter &head = *parameters.find(kHeadName), &bias = *parameters.find(kHeadBiasName);
    const auto learner =
        open_learner(device_, config_, parameters,
                     {.head = DenseHead{{head.value.view(), bias.value.view().row(0)},
                                        {head.gradient.view(), bias.gradient.view().row(0)}}});
    tiny::SceneLessons lessons(stage, config_, tokenizer_, masks_, options_.training.photos);
    std::error_code error;
    fs::create_directories(folder, error);
    TrainingLog log(folder / kLogName, state.step);
    Progress progress(options_.verbosity >= 1);

    LoopListener listener;
    double seconds = 0;
    Index done = 0;
    const Index steps = stage.schedule.steps;
    listener.on_step = [&](const StepReport& report) {
      if (report.step % kLogged == 0 || report.step == steps) log.add(report);
      seconds += report.seconds;
      ++done;
      progress.trained(
          report.step, steps, report.loss, static_cast<double>(report.tokens) / report.seconds,
          seconds / static_cast<double>(done) * static_cast<double>(steps - report.step));
    };
    listener.save = [&] {
      save_run(folder, run, state, parameters.all(), optimizer);
      write_file(folder / "curve.svg", curve_svg(state, name));
      write_learned_model(options_.out, folder_, checkpoint_, config_, parameters);
    };
    listener.is_stopped = [] { return signal_seen() != 0; };
    const bool is_done =
        Loop({.rate = stage.rate, .schedule = stage.schedule, .clip = 1, .every = kEvery}, *learner,
             parameters, optimizer, lessons)
            .run(state, listener);
    progress.clear();
    if (!is_done) {
      std::fprintf(stderr,
                   "paligemma: stopped after step %td of %td of %s; the same command goes on\n",
                   state.step, steps, name.c_str());
    } else if (options_.verbosity >= 1 && done > 0) {
      std::fprintf(stderr, "%s: %td steps, loss %.4f\n", name.c_str(), state.step,
                   static_cast<double>(state.losses.back()));
    }
    return is_done;
  }

  const Options& options_;
  fs::path folder_;
  Device device_;
  Config config_;
  Checkpoint checkpoint_;
  Tokenizer tokenizer_;
  MaskEncoder masks_;
};

}  // namespace

int run_train_tiny(const Options& options) { return Run(options).all(); }

}  // namespace paligemma::cli
