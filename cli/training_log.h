// The file of --log: a line a step.
//
//   {"step": 3, "loss": 0.81, "grad_norm": 1.2, "lr": 1e-05, "tokens": 24, "seconds": 0.31}
//
// and "validation_loss" where there was one. A run that goes on from a checkpoint first cuts off the steps behind it.
#pragma once

#include <filesystem>
#include <string>

#include "train/loop.h"

namespace paligemma::cli {

class TrainingLog {
 public:
  // An empty path: none. Keeps the lines up to step `last` of what is there. Throws UsageError for a file with anything
  // but such lines, std::runtime_error if it cannot be written.
  TrainingLog(std::filesystem::path path, Index last);

  void add(const StepReport& report);

 private:
  std::filesystem::path path_;
};

}  // namespace paligemma::cli
