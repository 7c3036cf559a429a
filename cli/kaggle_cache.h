// The local cache of kagglehub, which is where keras_hub has its presets, as kagglehub 1.0 has it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/cached_model.h"
#include "cli/model_folder.h"

namespace paligemma::cli {

struct KaggleName {
  std::string path;                     // OWNER/MODEL/FRAMEWORK/VARIATION
  std::optional<std::int64_t> version;  // or the newest
};

// Of kaggle://OWNER/MODEL/FRAMEWORK/VARIATION[/VERSION]; nothing if it does not begin so. Throws UsageError for
// what begins so and names no model.
std::optional<KaggleName> kaggle_name(const std::string& text);

std::filesystem::path kaggle_cache();

// What is there of OWNER/MODEL/FRAMEWORK/VARIATION, the newest first; of an empty path nothing.
struct KaggleModel : CachedModel {
  std::int64_t version;
};
std::vector<KaggleModel> kaggle_versions(const std::string& path, const Options& options);

// Throws NotFoundError, with how to get it, if the model, or a file that the command needs, is not there.
ModelFolder in_kaggle_cache(const KaggleName& model, const Options& options);

}  // namespace paligemma::cli
