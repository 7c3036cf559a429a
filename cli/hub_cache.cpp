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

#include "cli/picture_name.h"
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

// Two names of letters, digits, '-', '_' and '.'.
bool is_repository_name(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == 0 || slash == text.npos || slash + 1 == text.size()) return false;
  const auto is_allowed = [&](const char& c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' ||
           &c == &text[slash];
  };
  return std::all_of(text.begin(), text.end(), is_allowed) && text[0] != '.' &&
         text.find("..") == text.npos;
}

// "refs/pr/1" is a revision of three names.
std::string first_revision(const std::string& path) {
  std::size_t end = path.find('/');
  for (int i = 0; path.starts_with("refs/") && i < 2 && end != path.npos; ++i) {
    end = path.find('/', end + 1);
  }
  return path.substr(0, end);
}

bool take_prefix(std::string& text, std::string_view prefix) {
  const bool has = text.starts_with(prefix);
  if (has) text.erase(0, prefix.size());
  return has;
}

HubName of_hf_address(const std::string& text, std::string path) {
  while (path.ends_with('/')) path.pop_back();
  const auto at = path.find('@');
  const HubName model{path.substr(0, at),
                      at == path.npos ? "" : percent_decoded(path.substr(at + 1))};
  if (is_repository_name(model.name)) return model;
  throw UsageError(text + ": must be hf://ORG/NAME or hf://ORG/NAME@REVISION");
}

// ORG/NAME, then perhaps /tree/REVISION, or /blob/REVISION/FILE.
HubName of_page(const std::string& text, std::string path) {
  path.resize(std::min(path.find_first_of("?#"), path.size()));
  while (path.ends_with('/')) path.pop_back();
  const auto slash = path.find('/', std::min(path.find('/'), path.size() - 1) + 1);
  HubName model{path.substr(0, slash), ""};
  std::string rest = slash == path.npos ? "" : path.substr(slash + 1);
  const bool is_model = !model.name.starts_with("datasets/") && !model.name.starts_with("spaces/");
  if (!is_model || !is_repository_name(model.name)) {
    throw UsageError(text + ": is not the page of a model");
  }
  for (const char* view : {"tree/", "blob/", "resolve/", "commit/"}) {
    if (take_prefix(rest, view)) model.revision = first_revision(percent_decoded(rest));
  }
  return model;
}

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

std::optional<HubName> hub_name(const std::string& text) {
  std::string path = text;
  if (take_prefix(path, "hf://")) return of_hf_address(text, path);
  const bool is_address = take_prefix(path, "https://") || take_prefix(path, "http://");
  for (const char* host : {"huggingface.co/", "www.huggingface.co/", "hf.co/"}) {
    if (take_prefix(path, host)) return of_page(text, path);
  }
  if (is_address || !is_repository_name(text)) return std::nullopt;
  return HubName{text, ""};
}

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
