#include "paligemma/weight_files.h"

#include <algorithm>
#include <set>
#include <string>

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

// Weights in one file, or in those that an index names.
struct Naming {
  const char *single, *index;
};
constexpr Naming kNamings[] = {{"model.safetensors", "model.safetensors.index.json"},
                               {"model.weights.h5", "model.weights.json"}};

// The files that an index names. Keras names a list of them where a layer has several tensors.
std::vector<fs::path> shards_of(const fs::path& index) {
  const JsonFields fields(MappedFile(index).text(), index.string());
  if (!fields.is_object("weight_map")) {
    throw ModelFileError(index.string() + ": has no weight_map");
  }
  const JsonFields shards = fields.object("weight_map");
  std::set<fs::path> files;
  for (const std::string& name : shards.names()) {
    for (const fs::path file_name :
         shards.is_list(name) ? shards.texts(name) : std::vector{shards.text(name, "")}) {
      // A plain name: an index must not lead out of its folder.
      if (file_name.empty() || file_name != file_name.filename() || file_name == "..") {
        shards.fail(name, "\"" + file_name.string() + "\" is not a file name");
      }
      const fs::path file = index.parent_path() / file_name;
      if (!is_there(file)) {
        throw ModelFileError(index.string() + ": tensor " + name + " is in " + file_name.string() +
                             ", which is not there");
      }
      files.insert(file);
    }
  }
  if (files.empty()) throw ModelFileError(index.string() + ": its weight_map is empty");
  return {files.begin(), files.end()};
}

}  // namespace

std::vector<fs::path> weight_files(const fs::path& path) {
  const fs::path folder = checkpoint_folder(path);
  if (path != folder && path.extension() != ".json") {
    for (const auto& [single, index] : kNamings) {
      if (!is_there(folder / index)) continue;
      auto shards = shards_of(folder / index);
      if (std::find(shards.begin(), shards.end(), folder / path.filename()) != shards.end()) {
        return shards;
      }
    }
    return {path};
  }
  for (const auto& [single, index] : kNamings) {
    if (is_there(folder / single)) return {folder / single};
    if (is_there(folder / index)) return shards_of(folder / index);
  }
  if (const std::string other = other_model_in(folder); !other.empty()) {
    throw ModelFileError(folder.string() + ": " + other);
  }
  return {folder / kNamings[0].single};
}

}  // namespace paligemma
