// What the JSON files beside config.json say. For config.cpp.
#pragma once

#include <set>
#include <string>

#include "paligemma/config.h"
#include "tensor/json.h"

namespace paligemma {

// "eos_token_id": 1, or [1, 107], or nothing.
std::set<TokenId> end_tokens_of(const JsonFields& fields);

// preprocessor_config.json, or the part image_processor of processor_config.json.
void read_image_processor(const JsonFields& fields, Config& config);

}  // namespace paligemma
