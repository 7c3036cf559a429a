// Saved run: all that a run needs to go on with the very numbers of one that was never stopped.
//
//   training.safetensors   in the folder that the run writes
//     __metadata__         "run": what makes it this run and no other, a JSON object
//     NAME                 each parameter, float32
//     NAME.m, NAME.v, ...  what its optimizer keeps, float32
//     losses [steps]       of each step that is done
//     validation [n, 2]    step and loss
//
// The file is written beside its place and renamed: after a kill, or on a full disk, the one before is there.
//
// Read next: train/learned_model.h.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "train/optimizer.h"

namespace paligemma {

struct RunState {
  Index step = 0;             // done
  std::vector<float> losses;  // of each step
  struct Validation {
    float step, loss;
  };
  std::vector<Validation> validations;
};

// A saved run is there, and it is not this one.
struct OtherRunError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::filesystem::path saved_run_file(const std::filesystem::path& folder);

// Throws std::runtime_error if it cannot be written.
void save_run(const std::filesystem::path& folder, const std::string& run, const RunState& state,
              const std::vector<Parameter>& parameters, const Optimizer& optimizer);

// What was saved of this run, with the numbers put in their places; the beginning, of a folder without a saved run.
// Throws ModelFileError for a file that is damaged, and OtherRunError, which says in which fields it differs.
RunState load_run(const std::filesystem::path& folder, const std::string& run,
                  std::vector<Parameter>& parameters, Optimizer& optimizer);

}  // namespace paligemma
