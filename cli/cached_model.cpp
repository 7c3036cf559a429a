#include "cli/cached_model.h"

#include <algorithm>
#include <set>

#include "cli/model_folder.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/mapped_file.h"
#include "tensor/paths.h"

namespace paligemma::cli {

namespace fs = std::filesystem;

namespace {

// The names in weight_map, in Keras a list of them for some; none if the index is broken, which its reader says.
std::set<std::string> shards_of(const fs::path& index) {
  std::set<std::string> names;
  try {
    const JsonFields shards =
        JsonFields(MappedFile(index).text(), index.string()).object("weight_map");
    for (const std::string& tensor : shards.names()) {
      if (shards.is_list(tensor)) {
        for (const std::string& name : shards.texts(tensor)) names.insert(name);
      } else {
        names.insert(shards.text(tensor));
      }
    }
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
bool is_of_another_kind(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
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

std::string first_missing(const fs::path& folder, const std::set<std::string>& names) {
  const auto missing = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
    return !is_there(folder / name);
  });
  return missing == names.end() ? "" : *missing;
}

}  // namespace

std::string missing_file(const fs::path& folder, const fs::path& list, const Options& options) {
  const bool wants_text = options.command != Command::inspect && options.command != Command::bench;
  const bool wants_weights = options.command != Command::tokenize;
  std::set<std::string> needed{"config.json"};
  const fs::path in_keras = folder / "model.weights.json";
  if (is_there(in_keras)) {
    if (wants_weights) needed.merge(shards_of(in_keras));
    return first_missing(folder, needed);
  }
  if (is_of_another_kind(folder)) return "";
  if (wants_weights && !is_there(folder / "model.safetensors")) {
    const fs::path index = folder / "model.safetensors.index.json";
    if (is_there(index)) {
      needed.merge(shards_of(index));
    } else {
      needed.insert(hub_has(list, index.filename()) ? index.filename() : "model.safetensors");
    }
  }
  const bool wants_words = wants_text && options.command != Command::embed;
  if (wants_words && options.tokenizer.empty() && !is_there(folder / "tokenizer.json")) {
    needed.insert("tokenizer.model");
  }
  for (const char* name : {"generation_config.json", "preprocessor_config.json",
                           "processor_config.json", "added_tokens.json", "tokenizer_config.json"}) {
    if (wants_text && hub_has(list, name)) needed.insert(name);
  }
  return first_missing(folder, needed);
}

std::string download_command(const std::string& name, const std::string& revision) {
  return (shared_files() / "scripts/download.sh").string() + " " + name +
         (revision == "main" ? "" : " --revision " + revision);
}

}  // namespace paligemma::cli
