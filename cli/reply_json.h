// What an answer says, as text and as JSON.
#pragma once

#include <string>

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

std::string finish_reason(const Reply& reply);  // "eos", "stop" or "length"

}  // namespace paligemma::cli
