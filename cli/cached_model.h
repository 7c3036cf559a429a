// A model that somebody has downloaded into a cache, and what its download lacks.
#pragma once

#include <filesystem>
#include <string>

#include "cli/options.h"

namespace paligemma::cli {

struct CachedModel {
  std::filesystem::path folder;
  std::string missing;  // a file that is not there, or not whole; empty if the model is whole
};

// The first file of the folder that the command needs and that is not there, or is a link to nothing; or empty.
// `list` is the file in which huggingface_hub has noted what the hub has, and need not be there.
std::string missing_file(const std::filesystem::path& folder, const std::filesystem::path& list,
                         const Options& options);

// "…/scripts/download.sh google/paligemma-3b-mix-224 --revision bfloat16": how a user gets a model of the hub.
std::string download_command(const std::string& name, const std::string& revision);

}  // namespace paligemma::cli
