#include "cli/zeta_answer.h"

#include <cmath>

namespace paligemma::cli {

std::vector<Field> answer_fields(const Options& options, const ZetaModel& model,
                                 const ZetaAnswer& answer) {
  std::vector<Json> tokens, per_token;
  double all_ms = 0;
  for (const GeneratedToken& token : answer.tokens) {
    tokens.push_back(object({{"id", token.id},
                             {"piece", model.words ? Json(model.words->piece(token.id)) : Json()},
                             {"logprob", std::round(token.log_probability * 1e6) / 1e6}}));
    per_token.push_back(token.milliseconds);
    all_ms += token.milliseconds;
  }
  const double first_ms = answer.tokens.front().milliseconds;
  return {{"image", answer.image},
          {"prompt", options.prompt ? Json(*options.prompt) : Json()},
          {"prompt_tokens", answer.prompt_tokens},
          {"tokens", array(tokens)},
          {"finish_reason", answer.ended ? "eos" : "length"},
          {"text", model.words ? Json(answer.text) : Json()},
          {"timings_ms", object({{"load", answer.load_ms},
                                 {"preprocess", answer.preprocess_ms},
                                 {"vit", answer.vit_ms},
                                 {"prefill", first_ms},
                                 {"decode", all_ms - first_ms},
                                 {"per_token", array(per_token)}})},
          {"seed", options.seed}};
}

}  // namespace paligemma::cli
