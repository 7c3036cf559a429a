// Where a model is: a path, a name among the models that come with the program, ORG/NAME in the local cache of the
// Hugging Face hub, a kaggle:// handle in kagglehub's, or a preset's name in either. Nothing is ever downloaded here.
#pragma once

#include <filesystem>
#include <string>

#include "cli/options.h"

namespace paligemma::cli {

struct ModelFolder {
  std::filesystem::path path;
  std::string id;    // as the user calls it; "tiny" by default
  std::string note;  // empty, or which of several things was taken
};

// Throws NotFoundError; for ORG/NAME with the command that downloads it.
ModelFolder find_model(const Options& options);

// Of --adapter: a folder, or ORG/NAME in the hub's cache. Throws NotFoundError.
std::filesystem::path find_adapter(const Options& options);

// What comes with the program: share/paligemma under its prefix, or the source tree.
std::filesystem::path shared_files();

}  // namespace paligemma::cli
