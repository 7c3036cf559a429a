// What is said of a text that a model of zeta's wrote.
#pragma once

#include <string>
#include <vector>

#include "cli/zeta_model.h"
#include "gemma/generated_token.h"
#include "tensor/json.h"

namespace paligemma::cli {

struct ZetaAnswer {
  Json image;  // null if there is none
  std::size_t prompt_tokens = 0;
  std::vector<GeneratedToken> tokens;
  bool ended = false;  // by the end token
  std::string text;    // words, or ids with commas between them
  double load_ms = 0, preprocess_ms = 0, vit_ms = 0;
};

// Of --json, behind those about the model.
std::vector<Field> answer_fields(const Options& options, const ZetaModel& model,
                                 const ZetaAnswer& answer);

}  // namespace paligemma::cli
