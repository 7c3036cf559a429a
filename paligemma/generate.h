// Generate: the answer, token by token.
//
//   logits of the prefix -> sample -> forward that one token -> sample -> ...
//
// The prefix goes through the decoder once ("prefill"); after that each step reads every weight for
// the sake of one token ("decode"). It ends with one of the end tokens, which is part of the result,
// or after max_tokens. Where there are rules for tokens (gemma/token_rules.h), they choose, on the host.
//
// Read next: paligemma/prompt_lookup.h.
#pragma once

#include <chrono>
#include <functional>
#include <set>
#include <span>
#include <vector>

#include "gemma/generated_token.h"
#include "gemma/likeliest_tokens.h"
#include "gemma/token_rules.h"
#include "paligemma/model.h"
#include "tensor/row_on_host.h"

namespace paligemma {

struct GenerateOptions {
  Index max_tokens = 100;
  std::set<TokenId> end_tokens = {};
  SamplerOptions sampler = {};
  TokenRules rules = {};
  Index likeliest = 0;  // so many of each step are told
};

// What the logits of the last token say comes next; of several rows of logits by this one.
template <class On, class W>
Choice choose(const Model<On, W>& model, Session<On>& session, const SamplerOptions& options,
              Index step, Index row = 0) {
  const auto logits = session.scratch.logits.view().row(row);
  const TokenId id = sample(model.on, logits, options, static_cast<std::uint64_t>(step));
  return {id, log_probability(model.on, logits, id)};
}

// One more token through the decoder, and what comes behind it.
template <class On, class W>
Choice decode(const Model<On, W>& model, TokenId id, Index prefix, Session<On>& session,
              const SamplerOptions& options, Index step) {
  const auto no_picture = session.scratch.x.view().rows(0, 0);
  forward(model, {&id, 1}, no_picture, prefix, session, NoTap());
  return choose(model, session, options, step);
}

// The same by rules, which know all tokens so far.
template <class On, class W>
Choice choose_by_rules(const Model<On, W>& model, Session<On>& session,
                       const GenerateOptions& options, std::span<const TokenId> history, Index step,
                       Index row = 0) {
  const auto all = session.scratch.logits.view();
  Buffer<float, 1> logits = row_on_host(model.on, all, row);
  const TokenId id = sample_by_rules(options.rules, history, logits.view(), options.sampler,
                                     static_cast<std::uint64_t>(step));
  return {id, log_probability(model.on, all.row(row), id)};
}

// As many as were asked for.
template <class On, class W>
std::vector<Choice> likeliest(const Model<On, W>& model, Session<On>& session,
                              const GenerateOptions& options, Index row = 0) {
  if (options.likeliest == 0) return {};
  const auto logits = row_on_host(model.on, session.scratch.logits.view(), row);
  return likeliest_tokens(logits.view(), options.likeliest);
}

// Forgets what the session holds of another answer; it must have room for this one. `on_token` is called
// with each token as soon as it is known; false from it ends the answer.
template <class On, class W, class Rows, class Tap>
std::vector<GeneratedToken> generate(const Model<On, W>& model, const Rows& image_rows,
                                     std::span<const TokenId> prompt, Session<On>& session,
                                     const GenerateOptions& options,
                                     const std::function<bool(const GeneratedToken&)>& on_token,
                                     const Tap& tap) {
  using Clock = std::chrono::steady_clock;
  const auto T = static_cast<Index>(prompt.size());
  session.cache.truncate(session.sequence, 0);

  const bool has_rules = options.rules != TokenRules{};
  const SamplerOptions sampler = has_rules ? SamplerOptions{} : options.sampler;
  std::vector<TokenId> history(prompt.begin(), prompt.end());
  std::vector<GeneratedToken> tokens;
  auto start = Clock::now();
  forward(model, prompt, image_rows, T, session, tap);
  Choice next{};
  for (Index step = 0; step < options.max_tokens; ++step) {
    if (step == 0) {
      next = choose(model, session, sampler, step);
    } else {
      start = Clock::now();
      next = decode(model, next.id, T, session, sampler, step);
    }
    if (has_rules) next = choose_by_rules(model, session, options, history, step);
    history.push_back(next.id);
    tokens.push_back({next.id, next.log_probability, start,
                      std::chrono::duration<double, std::milli>(Clock::now() - start).count(),
                      likeliest(model, session, options)});
    // The taps show the prefix; of later steps only the logits.
    if (step > 0) tap("logits", session.scratch.logits.view());
    if (!on_token(tokens.back()) || options.end_tokens.count(next.id) != 0) break;
  }
  return tokens;
}

}  // namespace paligemma
