// Beams: of all ways to go on with several unfinished answers, those that are kept.
//
//   candidates      score(beam) + log p(v | beam)   of every beam and token; the best (1 + E) beams of them
//                   are looked at, at least twice the beams: E end tokens
//   finished        those that end and are among the best `beams`:  score / length^length_penalty;
//                   by an end token, or because `stops` says so of all tokens
//   running         the best `beams` of those that do not end
//
//   log_probabilities  [B, V]   of the running beams, one behind the other; -infinity never comes
//
// It ends when enough answers are finished and no running one can beat the worst of them:
//
//   early_stopping no      as if it ended now
//                  never   as if it grew to max_tokens, where a length_penalty > 0 rewards length
//                  yes     enough are finished, and that is all
//
// At max_tokens what runs is finished, too. Of equal scores the beam that was the better one comes first,
// then the lowest id, then the answer that was finished first: where torch.topk, whose order nobody has
// described, may take another.
//
// Source: Hugging Face transformers 5.23.0, generation/utils.py, _beam_search; Wu et al. 2016, "Google's
// neural machine translation system", section 7, divides by a power of the length as well, but of another
// form. Read next: gemma/contrastive.h.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <vector>

#include "gemma/token_embedding.h"  // TokenId
#include "tensor/view.h"

namespace paligemma {

// y = logits - ln sum exp(logits), [V] both.
void log_softmax(View<const float, 1> logits, View<float, 1> y);

enum class EarlyStopping { no, yes, never };

struct BeamOptions {
  Index beams = 1;
  float length_penalty = 1;  // 0: the sum; below 0 shorter answers win
  EarlyStopping early_stopping = EarlyStopping::no;

  bool operator==(const BeamOptions&) const = default;
};

class Beams {
 public:
  struct Beam {
    std::vector<TokenId> ids;
    std::vector<Index> parents;            // of each, behind which of the running ones it came
    std::vector<float> log_probabilities;  // of each, before any rule
    float score;                           // their sum, by rules; of a finished one divided
  };
  using Stops = std::function<bool(std::span<const TokenId>)>;

  Beams(const BeamOptions& options, Index max_tokens, std::set<TokenId> end_tokens,
        Stops stops = {});

  // One more token. Before the first there is a single beam, and so a single row. Throws
  // std::runtime_error if a number is NaN or +infinity, or if nothing can follow.
  void step(View<const float, 2> log_probabilities, View<const float, 2> before_rules);

  bool goes_on() const { return goes_on_; }
  std::span<const Beam> running() const { return running_; }
  std::span<const Beam> finished() const { return finished_; }  // the best one first

 private:
  std::vector<Beam> candidates(View<const float, 2> log_probabilities,
                               View<const float, 2> before_rules) const;
  float divided(float score, Index length) const;

  BeamOptions options_;
  Index max_tokens_, length_ = 0;
  std::set<TokenId> end_tokens_;
  Stops stops_;
  std::vector<Beam> running_{{{}, {}, {}, 0}}, finished_;
  bool goes_on_ = true;
};

}  // namespace paligemma
