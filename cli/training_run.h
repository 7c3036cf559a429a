// What every run of learning has: a folder of its own, memory that it keeps, and an end that can be asked for.
#pragma once

#include <csignal>
#include <filesystem>
#include <string>

#include "train/saved_run.h"

namespace paligemma::cli {

// The folder to write, absent, empty or of a run, whose file `mark` says so; nobody else writes it meanwhile.
class RunFolder {
 public:
  // Throws UsageError, or std::runtime_error if it cannot be written.
  RunFolder(const std::filesystem::path& path, const std::filesystem::path& mark);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

 private:
  int lock_ = -1;
};

// What was saved there of this run, with parameters and optimizer as they were, or the beginning. Throws UsageError for
// another run's, and as load_run does.
RunState saved_state(const std::filesystem::path& folder, const std::string& run,
                     Parameters& parameters, Optimizer& optimizer);

// From here on the first SIGINT or SIGTERM asks for a checkpoint and the end, the second for the end; unless whoever
// started the program has them ignored.
void note_signals();
int signal_seen();  // or 0

// Freed memory is kept for the next step: giving it back, and being given zeros again, is a tenth of a step's time.
void keep_memory();

}  // namespace paligemma::cli
