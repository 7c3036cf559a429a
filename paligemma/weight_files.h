// Which files hold a checkpoint's weights.
#pragma once

#include <filesystem>
#include <vector>

namespace paligemma {

// Of a folder, model.safetensors or else what its index names, or else the same of Keras, model.weights.h5 or
// what model.weights.json names; so too if `path` is config.json, the index or a file that this names. Any other
// file is itself. A folder may lack all of them; one with another program's weights, and an index that names what
// is not there, is a ModelFileError.
std::vector<std::filesystem::path> weight_files(const std::filesystem::path& path);

}  // namespace paligemma
