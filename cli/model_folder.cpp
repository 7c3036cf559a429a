#include "cli/model_folder.h"

#include <cstdlib>

#include "cli/hub_cache.h"
#include "cli/source_tree.h"
#include "tensor/errors.h"
#include "tensor/paths.h"

namespace paligemma::cli {

namespace fs = std::filesystem;

namespace {

fs::path built_in_models() {
  const char* chosen = std::getenv("PALIGEMMA_MODELS");
  return chosen && *chosen ? fs::path(chosen) : shared_files() / "models";
}

}  // namespace

fs::path shared_files() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  fs::path installed = program.parent_path().parent_path() / "share/paligemma";
  return !error && fs::is_directory(installed / "models", error) ? installed
                                                                 : fs::path(kSourceTree);
}

ModelFolder find_model(const Options& options) {
  if (!options.hf_repo.empty()) {
    const auto hub = hub_name(options.hf_repo);
    if (!hub) throw UsageError("--hf-repo " + options.hf_repo + ": must be ORG/NAME");
    return in_hub_cache(*hub, options);
  }
  const std::string name = options.model.empty() ? "tiny" : options.model;
  const fs::path built_in = built_in_models() / name;
  const bool is_path = !options.model.empty() && is_there(name);
  const bool is_built_in = name.find('/') == name.npos && is_folder(built_in);
  if (options.revision != "main" && (is_path || is_built_in)) {
    throw UsageError("--revision " + options.revision + ": " + name +
                     " is a folder, not a model of the hub's cache");
  }
  if (is_path) return {name, name, ""};
  if (is_built_in) return {built_in, name, ""};
  if (const auto hub = hub_name(name)) return in_hub_cache(*hub, options);
  throw NotFoundError((options.model.empty() ? built_in.string() : name) +
                      ": no such model folder");
}

}  // namespace paligemma::cli
