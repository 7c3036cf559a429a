#include "cli/model_folder.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "cli/source_tree.h"
#include "tensor/errors.h"
#include "tensor/paths.h"

namespace paligemma::cli {

namespace fs = std::filesystem;

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

fs::path built_in_models() {
  const std::string chosen = environment("PALIGEMMA_MODELS");
  return chosen.empty() ? shared_files() / "models" : fs::path(chosen);
}

fs::path hub_cache() {
  if (const std::string cache = environment("HF_HUB_CACHE"); !cache.empty()) return cache;
  if (const std::string home = environment("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  return fs::path(environment("HOME")) / ".cache/huggingface/hub";
}

// "google/paligemma-3b-mix-224": two names of letters, digits, '-', '_' and '.'.
bool is_repository_name(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == 0 || slash == text.npos || slash + 1 == text.size()) return false;
  const auto is_allowed = [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.';
  };
  return std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(slash), is_allowed) &&
         std::all_of(text.begin() + static_cast<std::ptrdiff_t>(slash) + 1, text.end(),
                     is_allowed) &&
         text[0] != '.' && text.find("..") == text.npos;
}

// refs/REVISION names a commit, whose files lie in snapshots/COMMIT. Nobody had to ask for "main", so
// where it is missing the only snapshot will do.
ModelFolder in_hub_cache(const std::string& name, const std::string& revision) {
  std::string folder = "models--" + name;
  folder.replace(folder.find('/'), 1, "--");
  const fs::path repository = hub_cache() / folder, snapshots = repository / "snapshots";

  std::string commit = revision;
  const fs::path reference = repository / "refs" / revision;
  if (is_file(reference)) std::ifstream(reference) >> commit;
  if (is_folder(snapshots / commit)) return {snapshots / commit, name, ""};

  std::vector<fs::path> all;
  std::error_code error;
  for (fs::directory_iterator entry(snapshots, error), end; entry != end; entry.increment(error)) {
    all.push_back(entry->path());
  }
  const bool may_differ = revision == "main" && !is_there(reference);
  if (all.size() == 1 && may_differ) {
    return {all[0], name,
            "the cache has no revision " + revision + " of " + name + "; its only snapshot, " +
                all[0].filename().string() + ", is used"};
  }
  throw NotFoundError("model '" + name + "' (revision " + revision + ") is not in " +
                      hub_cache().string() +
                      ". If it is gated, accept the licence at https://huggingface.co/" + name +
                      ", then run: hf auth login && hf download " + name +
                      (revision == "main" ? "" : " --revision " + revision) +
                      ". Or drop -m to use the built-in tiny model.");
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
    if (!is_repository_name(options.hf_repo)) {
      throw UsageError("--hf-repo " + options.hf_repo + ": must be ORG/NAME");
    }
    return in_hub_cache(options.hf_repo, options.revision);
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
  if (is_repository_name(name)) return in_hub_cache(name, options.revision);
  throw NotFoundError((options.model.empty() ? built_in.string() : name) +
                      ": no such model folder");
}

}  // namespace paligemma::cli
