// What an answer says, as text and as JSON.
#pragma once

#include <string>
#include <vector>

#include "cli/opened_model.h"
#include "cli/options.h"
#include "paligemma/pipeline.h"
#include "tensor/json.h"

namespace paligemma::cli {

// As the flags ask for it: with or without its location and segmentation tokens.
std::string text_of(const Options& options, const Tokenizer& tokenizer, const Reply& reply);

// [{"id", "piece", "logprob"}, ...], each with the likeliest of its place as "top" where they were asked for.
Json tokens_json(const Options& options, const Tokenizer& tokenizer, const Reply& reply);

// All of several answers: [{"text", "tokens", "finish_reason", "score"}, ...], the score null without beams.
Json answers_json(const Options& options, const Tokenizer& tokenizer, const Reply& best);

struct AskedPicture {
  std::string path;  // as the user calls it
  Index width, height;
};
struct Asked {
  std::vector<AskedPicture> pictures;
  std::string prompt;

  // That boxes are in; none if there are several.
  Index width() const { return pictures.size() == 1 ? pictures[0].width : 0; }
  Index height() const { return pictures.size() == 1 ? pictures[0].height : 0; }
};

// All that does not depend on how long it took: the model, what was asked, and the answer.
std::vector<Field> reply_fields(const Options& options, const OpenedModel& model,
                                const Asked& asked, const Reply& reply, const Json& objects);

std::string finish_reason(const Reply& reply);  // "eos", "stop" or "length"

}  // namespace paligemma::cli
