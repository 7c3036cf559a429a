// The local cache of the Hugging Face hub, where huggingface_hub 2 has it. The program never downloads anything.
#pragma once

#include <filesystem>
#include <vector>

#include "cli/cached_model.h"
#include "cli/hub_name.h"
#include "cli/model_folder.h"

namespace paligemma::cli {

std::filesystem::path hub_cache();

// What is there of ORG/NAME, of whatever revision, in the order of their commits.
std::vector<CachedModel> snapshots_of(const std::string& name, const Options& options);

// Throws NotFoundError, with the command that downloads it, if the model, or a file that the command needs,
// is not there.
ModelFolder in_hub_cache(const HubName& model, const Options& options);

}  // namespace paligemma::cli
