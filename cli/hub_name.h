// Models of the Hugging Face hub as people name them.
#pragma once

#include <optional>
#include <string>

namespace paligemma::cli {

// "google/paligemma-3b-mix-224". The revision is empty if none is said.
struct HubName {
  std::string name, revision;
};

// ORG/NAME, hf://ORG/NAME[@REVISION] or the address of a page of a model; nothing if it is none of these.
// Throws UsageError for the hub's addresses that name no model.
std::optional<HubName> hub_name(const std::string& text);

}  // namespace paligemma::cli
