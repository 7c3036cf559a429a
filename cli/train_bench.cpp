// How fast a model learns on this machine's processor, as a multiple of the machine's own limit.
#include <cstdio>
#include <iostream>

#include "cli/commands.h"
#include "cli/model_folder.h"
#include "cli/training_rules.h"
#include "engine/learners.h"
#include "fast/paligemma/measure_training.h"
#include "tensor/json.h"
#include "tensor/utf8.h"

namespace paligemma::cli {

int run_train_bench(const Options& options) {
  if (!options.adapter.empty()) throw UsageError("--train: --lora R in place of --adapter");
  const ModelFolder found = find_model(options);
  const Device device = choose_device(options.executor(found.path));
  print_notes(options, {found.note, device.note});
  const Config config = read_config(checkpoint_folder(found.path));
  Checkpoint checkpoint(found.path, config);
  const TrainingRules rules = training_rules(options, 1, checkpoint.format());
  Parameters parameters = chosen_parameters(checkpoint, config, rules);
  const auto learner = open_learner(device, config, parameters, rules.learner);
  const Fast machine({.kernels = kernels_for(options.executor(found.path)).kernels,
                      .threads = threads_for(static_cast<int>(options.threads.value_or(0)))});
  const Index batch = options.batch.value_or(1);
  const TrainingMeasurement m = measure_training(
      machine, config, *learner, parameters,
      {rules.learner, batch, static_cast<int>(options.rounds), checkpoint.memory()});

  Index learned = 0;
  for (const Parameter& parameter : parameters.all()) learned += parameter.value.view().count();
  const double per_second = 1e3 * static_cast<double>(batch) / m.step.ms;
  const std::string dtype(name_of(rules.learner.format));
  if (options.json) {
    std::cout << object({{"model", found.id},
                         {"dtype", dtype},
                         {"executor", device.executor},
                         {"threads", device.threads},
                         {"rounds", options.rounds},
                         {"batch", batch},
                         {"learned", learned},
                         {"step", object({{"ms", m.step.ms},
                                          {"floor_ms", m.step.floor_ms},
                                          {"multiple", m.step.multiple}})},
                         {"examples_per_second", per_second}})
                     .text()
              << "\n";
    return 0;
  }
  std::printf("%s, weights %s, %s, %d threads; %td parameters are learned\n",
              printable(found.id).c_str(), dtype.c_str(), device.executor.c_str(), device.threads,
              learned);
  std::printf("%-10s %8s %10s %9s\n", "", "ms", "floor ms", "multiple");
  std::printf("%-10s %8.2f %10.2f %9.2f\n", "step", m.step.ms, m.step.floor_ms, m.step.multiple);
  std::printf("%.2f examples a second, %td a step\n", per_second, batch);
  return 0;
}

}  // namespace paligemma::cli
