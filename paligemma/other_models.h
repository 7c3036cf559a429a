// Models that others have written in formats which are not read here: what they are, and what to do.
#pragma once

#include <filesystem>
#include <string>

namespace paligemma {

// Told by the names of a folder's files: "a PEFT adapter, which ...; merge it ...", or "".
std::string other_model_in(const std::filesystem::path& folder);

// Told by the name of a tensor: "quantised by bitsandbytes; ...", or "".
std::string other_model_of(const std::string& tensor);

}  // namespace paligemma
