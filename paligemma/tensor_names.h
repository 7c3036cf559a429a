// What tensors are called, in files of three generations and today (paligemma/checkpoint.h has the table).
#pragma once

#include <string>

#include "paligemma/config.h"

namespace paligemma {

// What a tensor is called today.
std::string current_tensor_name(std::string name);

// Of those names, that of one which some files hold and this model does not need.
bool is_ignored(const std::string& current_name, const Config& config);

bool is_of_pooling_head(const std::string& current_name);

}  // namespace paligemma
