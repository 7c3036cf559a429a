// --perf: the time of each phase of an answer, on stderr.
#pragma once

#include <optional>
#include <vector>

#include "gemma/generated_token.h"
#include "tensor/view.h"

namespace paligemma::cli {

struct VitTime {
  double ms;
  Index rows;
};

// Of an answer to so many tokens, at a picture or at none.
void print_perf(const std::optional<VitTime>& vit, std::size_t prompt_tokens,
                const std::vector<GeneratedToken>& tokens);

}  // namespace paligemma::cli
