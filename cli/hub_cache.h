// The local cache of the Hugging Face hub, where huggingface_hub 2 has it. Nothing is ever downloaded.
#pragma once

#include <filesystem>

#include "cli/hub_name.h"
#include "cli/model_folder.h"

namespace paligemma::cli {

std::filesystem::path hub_cache();

// Throws NotFoundError, with the command that downloads it, if the model, or a file that the command needs,
// is not there.
ModelFolder in_hub_cache(const HubName& model, const Options& options);

}  // namespace paligemma::cli
