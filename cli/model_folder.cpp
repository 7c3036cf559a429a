#include "cli/model_folder.h"

#include <algorithm>
#include <cstdlib>

#include "cli/hub_cache.h"
#include "cli/kaggle_cache.h"
#include "cli/source_tree.h"
#include "cli/spelling.h"
#include "paligemma/presets.h"
#include "tensor/errors.h"
#include "tensor/paths.h"

namespace paligemma::cli {

namespace fs = std::filesystem;

namespace {

fs::path built_in_models() {
  const char* chosen = std::getenv("PALIGEMMA_MODELS");
  return chosen && *chosen ? fs::path(chosen) : shared_files() / "models";
}

void add_note(ModelFolder& found, const std::string& note) {
  found.note += (found.note.empty() ? "" : "; ") + note;
}

// From the cache that the spelling is of, or else from the other one. A revision is of the hub alone.
ModelFolder find_model_of(const Preset& preset, const std::string& name, const Options& options) {
  const bool is_hub_name = name.ends_with(preset.name);
  const auto versions = kaggle_versions(preset.kaggle(), options);
  const bool in_hub = !snapshots_of(preset.hub(), options).empty();
  if (versions.empty() || options.revision != "main" || (in_hub && is_hub_name)) {
    ModelFolder found = in_hub_cache({preset.hub(), ""}, options);
    if (versions.empty() && !is_hub_name) {
      add_note(found, name + " is not in kagglehub's cache; " + found.id + " of the hub's is used");
    }
    return found;
  }
  const bool has_usual = std::any_of(versions.begin(), versions.end(), [&](const auto& there) {
    return there.version == preset.version;
  });
  KaggleName model{preset.kaggle(), {}};
  if (has_usual) model.version = preset.version;
  ModelFolder found = in_kaggle_cache(model, options);
  if (is_hub_name) add_note(found, name + " is not in the hub's cache; " + found.id + " is used");
  return found;
}

// "; did you mean paligemma-3b-mix-224?", for names that look like a preset's.
std::string advice(const std::string& name) {
  if (!name.starts_with("pali") || name.find('/') != name.npos) return "";
  std::vector<std::string> names;
  for (const Preset& preset : presets()) {
    names.emplace_back(preset.name);
    names.emplace_back(preset.keras);
  }
  const std::string guess = nearest(name, names);
  return ", and no preset" + (guess.empty() ? "" : "; did you mean " + guess + "?") +
         " `paligemma presets` lists them";
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
  if (const auto kaggle = kaggle_name(name)) return in_kaggle_cache(*kaggle, options);
  if (const Preset* preset = find_preset(name)) return find_model_of(*preset, name, options);
  if (const auto hub = hub_name(name)) return in_hub_cache(*hub, options);
  throw NotFoundError((options.model.empty() ? built_in.string() : name) +
                      ": no such model folder" + advice(name));
}

fs::path find_adapter(const Options& options) {
  if (is_there(options.adapter)) return options.adapter;
  Options of_main = options;
  of_main.revision = "main";
  if (const auto hub = hub_name(options.adapter)) return in_hub_cache(*hub, of_main).path;
  throw NotFoundError(options.adapter + ": no such adapter's folder");
}

}  // namespace paligemma::cli
