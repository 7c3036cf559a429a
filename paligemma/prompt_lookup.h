// Prompt lookup: several tokens a pass, where the text so far says which are likely to come.
//
//   ... <loc0100> <loc0200> red circle ; <loc0300> <loc0400> red     what stood behind "red" before: " circle", " ;"
//
//   guesses           what followed the last n-gram when it stood in the text before
//   one pass          the token that was chosen, and the guesses, as rows that see only what is before them
//   each row          chooses as if it had come alone; up to the first guess that was wrong, all are kept
//
// So the tokens are those of generate(), rules and draws included: a row is computed from the same numbers, on the
// reference bit for bit. What is wasted is the rest of a pass whose weights were read anyway.
//
// Source: Saxena 2023, "Prompt lookup decoding"; Leviathan et al. 2022, "Fast inference from transformers via
// speculative decoding", for guessing and checking; transformers 5.23.0's own is not for PaliGemma: its guesses join
// the prefix, see one another both ways, and change the answer.
//
// Read next: paligemma/beam_search.h.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <span>
#include <vector>

#include "paligemma/generate.h"

namespace paligemma {

// At most `most` tokens that followed the last one or, where that is known, the last two when they stood in the
// history before; of several places the latest.
inline std::vector<TokenId> guessed_tokens(std::span<const TokenId> history, Index most) {
  const auto T = static_cast<Index>(history.size());
  for (const Index n : {2, 1}) {
    if (n > T) continue;
    const auto last = history.end() - n;
    for (Index end = T - 1; end >= n; --end) {
      if (!std::equal(last, history.end(), history.begin() + (end - n))) continue;
      const auto followed = history.subspan(static_cast<std::size_t>(end));
      const auto count = std::min(followed.size(), static_cast<std::size_t>(most));
      return {followed.begin(), followed.begin() + static_cast<std::ptrdiff_t>(count)};
    }
  }
  return {};
}

// As generate(), with up to `guesses` of them in a pass, for which the session has rows of logits: one more. The
// first token of a pass has taken all its time.
template <class On, class W, class Rows, class Tap>
std::vector<GeneratedToken> generate_by_lookup(
    const Model<On, W>& model, const Rows& image_rows, std::span<const TokenId> prompt,
    Session<On>& session, const GenerateOptions& options, Index guesses,
    const std::function<bool(const GeneratedToken&)>& on_token, const Tap& tap) {
  using Clock = std::chrono::steady_clock;
  const auto T = static_cast<Index>(prompt.size());
  session.cache.truncate(session.sequence, 0);
  std::vector<TokenId> history(prompt.begin(), prompt.end()), guess;
  std::vector<GeneratedToken> tokens;

  auto start = Clock::now();
  forward(model, prompt, image_rows, T, session, tap);
  while (true) {
    std::chrono::duration<double, std::milli> took = Clock::now() - start;
    for (std::size_t i = 0;; ++i) {  // row i stands behind i right guesses
      const auto row = static_cast<Index>(i), place = static_cast<Index>(tokens.size());
      const Choice next = choose_by_rules(model, session, options, history, place, row);
      const TokenId id = next.id;
      history.push_back(id);
      tokens.push_back(
          {id, next.log_probability, start, took.count(), likeliest(model, session, options, row)});
      took = {};
      const bool is_last = static_cast<Index>(tokens.size()) == options.max_tokens;
      if (!on_token(tokens.back()) || options.end_tokens.count(id) != 0 || is_last) return tokens;
      if (i == guess.size() || id != guess[i]) break;
    }

    // Keys and values of wrong guesses go; the last token has none yet.
    session.cache.truncate(session.sequence, static_cast<Index>(history.size()) - 1);
    const Index room = options.max_tokens - static_cast<Index>(tokens.size()) - 1;
    guess = guessed_tokens(history, std::min(guesses, room));
    std::vector<TokenId> ids{history.back()};
    ids.insert(ids.end(), guess.begin(), guess.end());
    const Index first = session.cache.length(session.sequence),
                rows = static_cast<Index>(ids.size());
    start = Clock::now();
    forward_step(model, ids, gemma::Segment{session.sequence, first, rows, T}, session);
  }
}

}  // namespace paligemma
