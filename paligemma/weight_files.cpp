#include "paligemma/weight_files.h"

#include <set>

#include "paligemma/config.h"
#include "paligemma/other_models.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/mapped_file.h"
#include "tensor/paths.h"
#include "tensor/safetensors.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

// The files that the index of a folder names.
std::set<fs::path> shards_of(const fs::path& path) {
  const fs::path index = path / "model.safetensors.index.json";
  const JsonFields fields(MappedFile(index).text(), index.string());
  if (!fields.is_object("weight_map")) {
    throw ModelFileError(index.string() + ": has no weight_map");
  }
  const JsonFields shards = fields.object("weight_map");
  std::set<fs::path> files;
  for (const std::string& name : shards.names()) {
    // A plain name: an index must not lead out of its folder.
    const fs::path file_name = shards.text(name, "");
    if (file_name.empty() || file_name != file_name.filename() || file_name == "..") {
      shards.fail(name, "\"" + file_name.string() + "\" is not a file name");
    }
    if (!is_there(path / file_name)) {
      throw ModelFileError(index.string() + ": tensor " + name + " is in " + file_name.string() +
                           ", which is not there");
    }
    files.insert(path / file_name);
  }
  if (files.empty()) throw ModelFileError(index.string() + ": its weight_map is empty");
  return files;
}

}  // namespace

std::vector<fs::path> weight_files(const fs::path& path) {
  const fs::path folder = checkpoint_folder(path);
  const fs::path single = folder / "model.safetensors";
  const bool has_index = is_there(folder / "model.safetensors.index.json");
  if (path != folder && path.extension() != ".json") {
    if (!has_index) return {path};
    const auto shards = shards_of(folder);
    if (!shards.contains(folder / path.filename())) return {path};
    return {shards.begin(), shards.end()};
  }
  if (!is_there(single) && has_index) {
    const auto shards = shards_of(folder);
    return {shards.begin(), shards.end()};
  }
  if (const std::string other = other_model_in(folder); !is_there(single) && !other.empty()) {
    throw ModelFileError(folder.string() + ": " + other);
  }
  return {single};
}

}  // namespace paligemma
