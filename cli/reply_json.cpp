#include "cli/reply_json.h"

#include <cmath>
#include <vector>

namespace paligemma::cli {
namespace {

double rounded(float number) { return std::round(static_cast<double>(number) * 1e6) / 1e6; }

std::vector<Field> fields_of(const Tokenizer& tokenizer, const Choice& choice) {
  return {{"id", choice.id},
          {"piece", tokenizer.piece(choice.id)},
          {"logprob", rounded(choice.log_probability)}};
}

}  // namespace

std::string text_of(const Options& options, const Tokenizer& tokenizer, const Reply& reply) {
  if (!options.skip_special_tokens) return reply.text;
  std::vector<TokenId> words;
  for (const GeneratedToken& token : reply.tokens) {
    if (!tokenizer.loc(token.id) && !tokenizer.seg(token.id)) words.push_back(token.id);
  }
  return tokenizer.decode(words);
}

Json tokens_json(const Options& options, const Tokenizer& tokenizer, const Reply& reply) {
  std::vector<Json> tokens;
  for (const GeneratedToken& token : reply.tokens) {
    std::vector<Field> fields = fields_of(tokenizer, {token.id, token.log_probability});
    if (options.top_logprobs > 0) {
      std::vector<Json> top;
      for (const Choice& choice : token.likeliest)
        top.push_back(object(fields_of(tokenizer, choice)));
      fields.push_back({"top", array(top)});
    }
    tokens.push_back(object(fields));
  }
  return array(tokens);
}

Json answers_json(const Options& options, const Tokenizer& tokenizer, const Reply& best) {
  std::vector<Json> all;
  const auto add = [&](const Reply& reply) {
    all.push_back(object({{"text", text_of(options, tokenizer, reply)},
                          {"tokens", tokens_json(options, tokenizer, reply)},
                          {"finish_reason", finish_reason(reply)},
                          {"score", reply.score ? Json(rounded(*reply.score)) : Json()}}));
  };
  add(best);
  for (const Reply& other : best.others) add(other);
  return array(all);
}

std::string finish_reason(const Reply& reply) {
  return reply.ended ? "eos" : reply.stopped ? "stop" : "length";
}

}  // namespace paligemma::cli
