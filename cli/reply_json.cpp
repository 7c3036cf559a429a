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

std::vector<Field> reply_fields(const Options& options, const OpenedModel& model,
                                const Asked& asked, const Reply& reply, const Json& objects) {
  const AnyPipeline& pipeline = *model.pipeline;
  const Config& config = pipeline.config();
  std::vector<Json> pictures;
  for (const AskedPicture& picture : asked.pictures) {
    pictures.push_back(
        object({{"path", picture.path}, {"width", picture.width}, {"height", picture.height}}));
  }
  const bool is_one = pictures.size() == 1;
  std::vector<Field> fields{{"version", PG_VERSION},
                            {"model", object({{"id", model.found.id},
                                              {"arch", config.architecture},
                                              {"image_size", config.vision.image_size},
                                              {"params", parameter_count(config)},
                                              {"dtype", name_of(pipeline.dtype())},
                                              {"trained", pipeline.trained()}})},
                            {"device", model.device.id},
                            {is_one ? "image" : "images", is_one ? pictures[0] : array(pictures)},
                            {"prompt", asked.prompt},
                            {"prompt_tokens", reply.prompt.size()},
                            {"tokens", tokens_json(options, pipeline.tokenizer(), reply)},
                            {"finish_reason", finish_reason(reply)},
                            {"text", text_of(options, pipeline.tokenizer(), reply)},
                            {"objects", objects},
                            {"seed", options.seed}};
  if (!reply.others.empty()) {
    fields.push_back({"answers", answers_json(options, pipeline.tokenizer(), reply)});
  }
  return fields;
}

std::string finish_reason(const Reply& reply) {
  return reply.ended ? "eos" : reply.stopped ? "stop" : "length";
}

}  // namespace paligemma::cli
