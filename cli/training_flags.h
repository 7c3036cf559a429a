// The flags of `finetune`.
#pragma once

#include "cli/options.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's name
class App;
}

namespace paligemma::cli {

// The lines, of `finetune` and `eval`.
void add_data(CLI::App& command, TrainingFlags& flags);
// And those that `bench` has.
void add_training_bench(CLI::App& command, TrainingFlags& flags);
void add_training(CLI::App& command, TrainingFlags& flags);

// The flags of `train-tiny`.
void add_train_tiny(CLI::App& command, TrainingFlags& flags);

}  // namespace paligemma::cli
