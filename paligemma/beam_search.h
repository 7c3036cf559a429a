// Beam search: several answers grow side by side, and in the end the best are taken.
//
//   logits of the prefix -> rules -> Beams -> forward one token of each beam, in one step -> ...
//
// The prefix goes through the decoder once. Beams begin as forks of its keys and values, and a beam that goes
// on keeps what it has; only where two go on from the same one are its rows copied. What
// greedy decoding does to logits happens here to their log-softmax, which is not made to sum to 1 again,
// as in Hugging Face transformers 5.23.0.
//
// Papers: Sutskever et al. 2014, "Sequence to sequence learning with neural networks", section 3.2; for the
// rest see gemma/beams.h. Taps: those of the prefix.
//
// Read next: paligemma/contrastive_search.h.
#pragma once

#include <chrono>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "gemma/beams.h"
#include "paligemma/generate.h"

namespace paligemma {

struct BeamSearchOptions {
  BeamOptions beams;
  Index max_tokens = 100;
  std::set<TokenId> end_tokens = {};
  TokenRules rules = {};
  Beams::Stops stops = {};
  Index likeliest = 0;  // so many of each step are told
};

struct BeamAnswer {
  std::vector<GeneratedToken> tokens;  // the end token too, when it came
  float score;
};

namespace beam_search_parts {

// Sequences of the cache that go on as the beams do: the first child of a sequence is that sequence.
template <class On>
std::vector<SequenceId> go_on(KvCache<On>& cache, const std::vector<SequenceId>& sequences,
                              std::span<const Beams::Beam> beams) {
  std::vector<SequenceId> next;
  std::vector<bool> is_taken(sequences.size());
  for (const Beams::Beam& beam : beams) {
    const auto parent = static_cast<std::size_t>(beam.parents.back());
    next.push_back(is_taken[parent] ? cache.fork(sequences[parent]) : sequences[parent]);
    is_taken[parent] = true;
  }
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    if (!is_taken[i]) cache.close(sequences[i]);
  }
  return next;
}

}  // namespace beam_search_parts

// All answers that were finished, the best one first. The session is this search's alone, and has room for
// as many answers as there are beams.
template <class On, class W, class Rows, class Tap>
std::vector<BeamAnswer> beam_search(const Model<On, W>& model, const Rows& image_rows,
                                    std::span<const TokenId> prompt, Session<On>& session,
                                    const BeamSearchOptions& options, const Tap& tap) {
  using Clock = std::chrono::steady_clock;
  const auto T = static_cast<Index>(prompt.size());
  Beams beams(options.beams, options.max_tokens, options.end_tokens, options.stops);
  std::vector<SequenceId> sequences{session.sequence};
  struct Step {
    Clock::time_point start;
    double ms;
    std::vector<std::vector<Choice>> likeliest;  // of each beam
  };
  std::vector<Step> steps;

  auto start = Clock::now();
  forward(model, prompt, image_rows, T, session, tap);
  while (true) {
    const auto B = static_cast<Index>(sequences.size());
    Step step{start, 0, {}};
    Buffer<float, 2> plain({B, model.text.vocabulary}, unwritten), ruled(plain.view().shape());
    for (Index b = 0; b < B; ++b) {
      const auto logits = row_on_host(model.on, session.scratch.logits.view(), b);
      log_softmax(logits.view(), plain.view().row(b));
      step.likeliest.push_back(likeliest_tokens(logits.view(), options.likeliest));
      copy(reference, std::as_const(plain).view().rows(b, b + 1), ruled.view().rows(b, b + 1));
      std::vector<TokenId> history(prompt.begin(), prompt.end());
      const auto& ids = beams.running()[static_cast<std::size_t>(b)].ids;
      history.insert(history.end(), ids.begin(), ids.end());
      apply_rules(options.rules, history, ruled.view().row(b));
    }
    beams.step(std::as_const(ruled).view(), std::as_const(plain).view());
    step.ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    steps.push_back(std::move(step));
    if (!beams.goes_on()) break;

    start = Clock::now();
    sequences = beam_search_parts::go_on(session.cache, sequences, beams.running());
    std::vector<TokenId> last;
    std::vector<gemma::Segment> segments;
    for (std::size_t b = 0; b < sequences.size(); ++b) {
      last.push_back(beams.running()[b].ids.back());
      segments.push_back({sequences[b], session.cache.length(sequences[b]), 1, T});
    }
    forward_step(model, last, std::span<const gemma::Segment>(segments), session);
  }

  std::vector<BeamAnswer> answers;
  for (const Beams::Beam& beam : beams.finished()) {
    BeamAnswer& answer = answers.emplace_back(BeamAnswer{{}, beam.score});
    for (std::size_t i = 0; i < beam.ids.size(); ++i) {
      const auto parent = static_cast<std::size_t>(beam.parents[i]);
      answer.tokens.push_back({beam.ids[i], beam.log_probabilities[i], steps[i].start, steps[i].ms,
                               steps[i].likeliest[parent]});
    }
  }
  return answers;
}

}  // namespace paligemma
