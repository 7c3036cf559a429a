#include "cli/hub_cache.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string_view>
#include <vector>

#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/mapped_file.h"
#include "tensor/paths.h"

namespace paligemma::cli {

namespace fs = std::filesystem;

namespace {

// A variable that is set and empty is set.
std::string environment(const char* name, const std::string& absent) {
  const char* value = std::getenv(name);
  return value ? value : absent;
}

// "~/x" and "~user/x", as Python's os.path.expanduser has them.
std::string with_home(const std::string& path) {
  if (!path.starts_with('~')) return path;
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string user = path.substr(1, end - 1);
  const passwd* known = user.empty() ? getpwuid(getuid()) : getpwnam(user.c_str());
  std::string home = known ? known->pw_dir : path.substr(0, end);
  if (user.empty()) home = environment("HOME", home);
  while (home.ends_with('/')) home.pop_back();
  const std::string whole = home + path.substr(end);
  return whole.empty() ? "/" : whole;
}

// "$HOME/x" and "${HOME}/x", as os.path.expandvars has them: what is not set stays.
std::string with_variables(std::string path) {
  for (std::size_t at = 0; (at = path.find('$', at)) != path.npos;) {
    std::size_t end = at + 1;
    const std::size_t close = path.find('}', at);
    const bool braces = path.compare(end, 1, "{") == 0 && close != path.npos;
    if (braces) end = close;
    while (!braces && end < path.size() &&
           (std::isalnum(static_cast<unsigned char>(path[end])) || path[end] == '_')) {
      ++end;
    }
    const std::string name = path.substr(at + 1 + braces, end - at - 1 - braces);
    if (braces) ++end;
    const char* value = name.empty() ? nullptr : std::getenv(name.c_str());
    if (value) path.replace(at, end - at, value);
    at = value ? at + std::string_view(value).size() : end;
  }
  return path;
}

std::string expanded(const std::string& path) { return with_variables(with_home(path)); }

// The names in weight_map; none if the index is broken, which its reader says.
std::set<std::string> shards_of(const fs::path& index) {
  std::set<std::string> names;
  try {
    const JsonFields shards =
        JsonFields(MappedFile(index).text(), index.string()).object("weight_map");
    for (const std::string& tensor : shards.names()) names.insert(shards.text(tensor));
  } catch (const ModelFileError&) {
    names.clear();
  }
  return names;
}

// What the hub has in this snapshot, if huggingface_hub has noted it.
bool hub_has(const fs::path& list, const std::string& file) {
  if (!is_file(list)) return false;
  try {
    return JsonFields(MappedFile(list).text(), list.string()).object("files").has(file);
  } catch (const ModelFileError&) {
    return false;
  }
}

// Weights that are none of safetensors, or an adapter: whoever reads them says so.
bool is_of_another_kind(const fs::path& snapshot) {
  std::error_code error;
  for (fs::directory_iterator entry(snapshot, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename(), ending = entry->path().extension();
    if (name == "adapter_config.json" || name.starts_with("pytorch_model") || ending == ".gguf" ||
        ending == ".h5" || ending == ".ckpt" || ending == ".msgpack" ||
        (ending == ".npz" && name != "vae-oid.npz")) {
      return true;
    }
  }
  return false;
}

// The first file that the command needs and that is not there, or is a link to nothing; or empty.
std::string missing_file(const fs::path& snapshot, const fs::path& list, const Options& options) {
  if (is_of_another_kind(snapshot)) return "";
  const bool wants_text = options.command != Command::inspect && options.command != Command::bench;
  const bool wants_weights = options.command != Command::tokenize;
  std::set<std::string> needed{"config.json"};
  if (wants_weights && !is_there(snapshot / "model.safetensors")) {
    const fs::path index = snapshot / "model.safetensors.index.json";
    if (is_there(index)) {
      needed.merge(shards_of(index));
    } else {
      needed.insert(hub_has(list, index.filename()) ? index.filename() : "model.safetensors");
    }
  }
  if (wants_text && options.tokenizer.empty() && !is_there(snapshot / "tokenizer.json")) {
    needed.insert("tokenizer.model");
  }
  for (const char* name : {"generation_config.json", "preprocessor_config.json",
                           "processor_config.json", "added_tokens.json", "tokenizer_config.json"}) {
    if (wants_text && hub_has(list, name)) needed.insert(name);
  }
  const auto missing = std::find_if(needed.begin(), needed.end(), [&](const std::string& name) {
    return !is_there(snapshot / name);
  });
  return missing == needed.end() ? "" : *missing;
}

bool has_incomplete(const fs::path& blobs) {
  std::error_code error;
  for (fs::directory_iterator entry(blobs, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".incomplete") return true;
  }
  return false;
}

}  // namespace

fs::path hub_cache() {
  const fs::path caches = environment("XDG_CACHE_HOME", fs::path(with_home("~")) / ".cache");
  const fs::path home = expanded(environment("HF_HOME", caches / "huggingface"));
  return expanded(environment("HF_HUB_CACHE", environment("HUGGINGFACE_HUB_CACHE", home / "hub")));
}

// refs/REVISION names a commit, whose files lie in snapshots/COMMIT. Nobody had to ask for "main", so
// where it is missing the only snapshot will do.
ModelFolder in_hub_cache(const HubName& model, const Options& options) {
  if (!model.revision.empty() && options.revision != "main" && options.revision != model.revision) {
    throw UsageError("--revision " + options.revision + ": the name says " + model.revision);
  }
  const std::string& name = model.name;
  const std::string revision = model.revision.empty() ? options.revision : model.revision;
  std::string folder = "models--" + name;
  folder.replace(folder.find('/'), 1, "--");
  const fs::path repository = hub_cache() / folder, snapshots = repository / "snapshots";
  const std::string download =
      "hf download " + name + (revision == "main" ? "" : " --revision " + revision);

  const auto whole = [&](const fs::path& snapshot, const std::string& note) -> ModelFolder {
    const fs::path list = repository / "trees" / (snapshot.filename().string() + ".json");
    const std::string missing = missing_file(snapshot, list, options);
    if (missing.empty()) return {snapshot, name, note};
    throw NotFoundError(
        "model '" + name +
        "' is in the hub's cache only in part: " + (snapshot / missing).string() + " is missing" +
        (has_incomplete(repository / "blobs") ? " (a download broke off, or still runs)" : "") +
        ". The rest comes with: " + download);
  };

  std::string commit = revision;
  const fs::path reference = repository / "refs" / revision;
  if (is_file(reference)) std::ifstream(reference) >> commit;
  if (is_folder(snapshots / commit)) return whole(snapshots / commit, "");

  std::vector<fs::path> all;
  std::error_code error;
  for (fs::directory_iterator entry(snapshots, error), end; entry != end; entry.increment(error)) {
    all.push_back(entry->path());
  }
  const bool may_differ = revision == "main" && !is_there(reference);
  if (all.size() == 1 && may_differ) {
    return whole(all[0], "the cache has no revision " + revision + " of " + name +
                             "; its only snapshot, " + all[0].filename().string() + ", is used");
  }
  throw NotFoundError(
      "model '" + name + "' (revision " + revision + ") is not in " + hub_cache().string() +
      ". If it is gated, accept the licence at https://huggingface.co/" + name +
      ", then run: hf auth login && " + download + ". Or drop -m to use the built-in tiny model.");
}

}  // namespace paligemma::cli
