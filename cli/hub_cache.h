// The local cache of the Hugging Face hub, where huggingface_hub 2 has it. Nothing is ever downloaded.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "cli/model_folder.h"

namespace paligemma::cli {

// A model of the hub: "google/paligemma-3b-mix-224". The revision is empty if none is said.
struct HubName {
  std::string name, revision;
};

// ORG/NAME, hf://ORG/NAME[@REVISION] or the address of a page of a model; nothing if it is none of these.
// Throws UsageError for the hub's addresses that name no model.
std::optional<HubName> hub_name(const std::string& text);

std::filesystem::path hub_cache();

// Throws NotFoundError, with the command that downloads it, if the model, or a file that the command needs,
// is not there.
ModelFolder in_hub_cache(const HubName& model, const Options& options);

}  // namespace paligemma::cli
