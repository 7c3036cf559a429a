// Contrastive search: each token is tried before it is taken, so that a text does not go round in circles.
//
//   logits -> rules -> the k likeliest -> forward all of them, in one step -> hidden states -> Contrastive -> one stays
//
// A candidate is a fork of the sequence with one token more. Its pass gives its hidden state, by which it is chosen,
// and the logits of what follows it: so a token costs one pass of k rows, as k answers side by side would.
//
// The hidden states are those behind the last norm, of the whole prefix and of the answer so far. The picture's rows
// are among them, as all positions of the context are in the paper.
//
// Paper: see gemma/contrastive.h. Read next: paligemma/batch.h.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gemma/contrastive.h"
#include "paligemma/generate.h"
#include "tensor/tap.h"

namespace paligemma {

// As generate(), but for the draw. The session is this search's alone, and has room for k answers.
template <class On, class W, class Rows, class Listener>
std::vector<GeneratedToken> contrastive_search(
    const Model<On, W>& model, const Rows& image_rows, std::span<const TokenId> prompt,
    Session<On>& session, const GenerateOptions& options, const ContrastiveOptions& contrast,
    const std::function<bool(const GeneratedToken&)>& on_token, const Listener& tap) {
  using Clock = std::chrono::steady_clock;
  const auto T = static_cast<Index>(prompt.size());
  KvCache<On>& cache = session.cache;
  const auto logits_of = [&](Index row) {
    return row_on_host(model.on, session.scratch.logits.view(), row);
  };

  auto start = Clock::now();
  Contrastive text(contrast.alpha, model.text.width);
  auto see_prefix = [&]<class Number, int Rank, Space S>(const std::string& name,
                                                         View<Number, Rank, S> view) {
    if constexpr (Rank == 2) {
      for (Index t = 0; name == "llm/final_norm" && t < view.size(0); ++t) {
        text.see(row_on_host(model.on, view, t).view());
      }
    }
    tap(name, view);
  };
  forward(model, prompt, image_rows, T, session, Tap(see_prefix));

  std::vector<TokenId> history(prompt.begin(), prompt.end());
  std::vector<GeneratedToken> tokens;
  SequenceId sequence = session.sequence;
  Index best = 0;  // whose logits come next
  while (std::ssize(tokens) < options.max_tokens) {
    const Buffer<float, 1> logits = logits_of(best);
    Buffer<float, 1> ruled = logits_of(best);
    apply_rules(options.rules, history, ruled.view());
    sample(reference, ruled.view(), {}, 0);  // throws where nothing can follow
    auto candidates = likeliest_tokens(ruled.view(), contrast.k);
    std::erase_if(candidates, [](const Choice& c) { return c.log_probability == -INFINITY; });

    std::vector<TokenId> ids;
    std::vector<float> probabilities;
    std::vector<gemma::Segment> segments;
    for (const Choice& candidate : candidates) {
      ids.push_back(candidate.id);
      probabilities.push_back(std::exp(candidate.log_probability));
      const SequenceId fork = segments.empty() ? sequence : cache.fork(sequence);
      segments.push_back({fork, cache.length(sequence), 1, T});
    }
    forward_step(model, ids, std::span<const gemma::Segment>(segments), session);
    Buffer<float, 2> hidden({std::ssize(ids), model.text.width}, unwritten);
    for (Index i = 0; i < std::ssize(ids); ++i) {
      const auto row = row_on_host(model.on, session.scratch.normed.view(), i);
      std::copy_n(row.view().data(), model.text.width, hidden.view().row(i).data());
    }

    best = text.best(probabilities, hidden.view());
    const TokenId id = ids[static_cast<std::size_t>(best)];
    text.see(std::as_const(hidden).view().row(best));
    sequence = segments[static_cast<std::size_t>(best)].sequence;
    for (const gemma::Segment& segment : segments) {
      if (segment.sequence != sequence) cache.close(segment.sequence);
    }
    history.push_back(id);
    const std::chrono::duration<double, std::milli> took = Clock::now() - start;
    tokens.push_back({id, log_probability(reference, logits.view(), id), start, took.count(),
                      likeliest_tokens(logits.view(), options.likeliest)});
    if (!on_token(tokens.back()) || options.end_tokens.count(id) != 0) break;
    start = Clock::now();
  }
  return tokens;
}

}  // namespace paligemma
