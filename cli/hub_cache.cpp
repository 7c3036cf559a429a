#include "cli/hub_cache.h"

#include <algorithm>
#include <fstream>

#include "cli/environment.h"
#include "cli/kaggle_cache.h"
#include "paligemma/presets.h"
#include "tensor/errors.h"
#include "tensor/paths.h"

namespace paligemma::cli {

namespace fs = std::filesystem;

namespace {

std::string expanded(const std::string& path) { return with_variables(with_home(path)); }

fs::path repository_of(std::string name) {
  name.replace(name.find('/'), 1, "--");
  return hub_cache() / ("models--" + name);
}

CachedModel in_snapshot(const fs::path& snapshot, const Options& options) {
  const fs::path trees = snapshot.parent_path().parent_path() / "trees";
  return {snapshot,
          missing_file(snapshot, trees / (snapshot.filename().string() + ".json"), options)};
}

bool has_incomplete(const fs::path& blobs) {
  std::error_code error;
  for (fs::directory_iterator entry(blobs, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".incomplete") return true;
  }
  return false;
}

// Where else a preset was looked for.
std::string nor_at_kaggle(const std::string& name) {
  const Preset* preset = find_preset(name);
  if (!preset || preset->keras.empty()) return "";
  return ", nor " + preset->kaggle() + " in " + kaggle_cache().string();
}

}  // namespace

fs::path hub_cache() {
  const fs::path caches = environment("XDG_CACHE_HOME", fs::path(with_home("~")) / ".cache");
  const fs::path home = expanded(environment("HF_HOME", caches / "huggingface"));
  return expanded(environment("HF_HUB_CACHE", environment("HUGGINGFACE_HUB_CACHE", home / "hub")));
}

std::vector<CachedModel> snapshots_of(const std::string& name, const Options& options) {
  std::vector<CachedModel> all;
  std::error_code error;
  for (fs::directory_iterator entry(repository_of(name) / "snapshots", error), end; entry != end;
       entry.increment(error)) {
    all.push_back(in_snapshot(entry->path(), options));
  }
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.folder < b.folder; });
  return all;
}

// refs/REVISION names a commit, whose files lie in snapshots/COMMIT. Nobody had to ask for "main", so
// where it is missing the only snapshot will do.
ModelFolder in_hub_cache(const HubName& model, const Options& options) {
  if (!model.revision.empty() && options.revision != "main" && options.revision != model.revision) {
    throw UsageError("--revision " + options.revision + ": the name says " + model.revision);
  }
  const std::string& name = model.name;
  const std::string revision = model.revision.empty() ? options.revision : model.revision;
  const fs::path repository = repository_of(name), snapshots = repository / "snapshots";

  const auto whole = [&](const CachedModel& found, const std::string& note) -> ModelFolder {
    if (found.missing.empty()) return {found.folder, name, note};
    throw NotFoundError(
        "model '" + name + "' is in the hub's cache only in part: " +
        (found.folder / found.missing).string() + " is missing" +
        (has_incomplete(repository / "blobs") ? " (a download broke off, or still runs)" : "") +
        ". The rest comes with: " + download_command(name, revision));
  };

  std::string commit = revision;
  const fs::path reference = repository / "refs" / revision;
  if (is_file(reference)) std::ifstream(reference) >> commit;
  if (is_folder(snapshots / commit)) return whole(in_snapshot(snapshots / commit, options), "");

  const bool may_differ = revision == "main" && !is_there(reference);
  const auto all = may_differ ? snapshots_of(name, options) : std::vector<CachedModel>{};
  if (all.size() == 1) {
    return whole(all[0], "the cache has no revision " + revision + " of " + name +
                             "; its only snapshot, " + all[0].folder.filename().string() +
                             ", is used");
  }
  throw NotFoundError("model '" + name + "' (revision " + revision + ") is not in " +
                      hub_cache().string() + nor_at_kaggle(name) +
                      ". If it is gated, accept the licence at https://huggingface.co/" + name +
                      ", then run: " + download_command(name, revision) +
                      ". Or drop -m to use the built-in tiny model.");
}

}  // namespace paligemma::cli
