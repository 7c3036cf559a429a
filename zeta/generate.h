// Generate: the words that follow, one by one.
//
//   logits of the last word -> filter -> temperature -> draw -> the word is put behind -> ...
//
// Keys and values of the words so far are kept where that is exact (zeta/layers.h): then a word costs one row.
// Where xPos turns values all rows change with the length, and every word is computed from all the others; what
// comes of a picture is kept in either case. Beyond max_positions the oldest words are left out: then positions
// move, and all is computed again for each word.
//
// The filter looks at logits before the temperature. It ends with one of the end tokens, which is part of the
// result, or after max_tokens; an end token in the prompt ends nothing.
//
// Source: zetascale 2.8.8, structs/auto_regressive_wrapper.py, whose own generate raises.
//
// Read next: zeta/transformer.h.
#pragma once

#include <chrono>
#include <functional>
#include <set>
#include <span>
#include <vector>

#include "gemma/generated_token.h"
#include "gemma/sampler.h"
#include "tensor/row_on_host.h"
#include "zeta/token_filter.h"
#include "zeta/transformer.h"

namespace paligemma::zeta {

struct GenerateOptions {
  Index max_tokens = 100;
  std::set<TokenId> end_tokens = {};
  TokenFilter filter = {};
  SamplerOptions sampler = {};
  Index first_step = 0;  // of a text's draws, where it is made in several calls
};

// For texts of up to T words, looked at a context of S rows.
inline Room room_for(const TransformerShape& shape, Index T, Index S, Index memories = 0) {
  const Index rows = std::min(T, shape.max_positions);
  return {.rows = rows,
          .keys = rows,
          .memories = memories,
          .context = S,
          .keeps = can_keep(shape.layers),
          .remembers = false};
}

// `on_token` is called with each word as soon as it is known; false from it ends the text. Its probability is
// the one before any filter.
template <class On, class W, class Tap>
std::vector<TokenId> generate(const On& on, const TransformerWeights<W>& w,
                              const TransformerShape& shape, std::span<const TokenId> prompt,
                              const Memories<On>* memories, TransformerScratch<On>& s,
                              const GenerateOptions& options,
                              const std::function<bool(const GeneratedToken&)>& on_token,
                              const Tap& tap) {
  using Clock = std::chrono::steady_clock;
  PG_CHECK(!prompt.empty(), "there is a word to begin with");
  std::vector<TokenId> ids(prompt.begin(), prompt.end()), made;
  restart(s);
  for (Index step = 0; step < options.max_tokens; ++step) {
    const auto start = Clock::now();
    const auto all = static_cast<Index>(ids.size());
    const bool fits = all <= shape.max_positions;
    if (!fits || !s.layers.room.keeps) restart(s);
    const Index first = fits ? s.words : all - shape.max_positions;
    Words<On> words;
    words.ids = std::span(ids).subspan(static_cast<std::size_t>(first));
    const auto rows = transformer(on, w, shape, words, memories, s, tap);
    const Index T = rows.size(0);
    const auto last = logits(on, w, rows.rows(T - 1, T), s, tap);

    Buffer<float, 1> scores = row_on_host(on, last, 0);
    filter_tokens(options.filter, scores.view());
    const auto draw = static_cast<std::uint64_t>(options.first_step + step);
    const TokenId id = sample(reference, scores.view(), options.sampler, draw);
    const float probability = log_probability(on, last.row(0), id);
    ids.push_back(id);
    made.push_back(id);
    const std::chrono::duration<double, std::milli> took = Clock::now() - start;
    if (!on_token({id, probability, start, took.count()})) break;
    if (options.end_tokens.count(id) != 0) break;
  }
  return made;
}

}  // namespace paligemma::zeta
