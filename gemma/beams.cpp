#include "gemma/beams.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

namespace paligemma {

void log_softmax(View<const float, 1> logits, View<float, 1> y) {
  float max = -INFINITY;
  for (Index v = 0; v < logits.size(0); ++v) max = std::max(max, logits(v));
  double sum = 0;
  for (Index v = 0; v < logits.size(0); ++v) sum += std::exp(logits(v) - max);
  const auto log_sum = static_cast<float>(std::log(sum));
  for (Index v = 0; v < logits.size(0); ++v) y(v) = logits(v) - max - log_sum;
}

Beams::Beams(const BeamOptions& options, Index max_tokens, std::set<TokenId> end_tokens,
             Stops stops)
    : options_(options),
      max_tokens_(max_tokens),
      end_tokens_(std::move(end_tokens)),
      stops_(std::move(stops)) {
  PG_CHECK(options.beams >= 1, std::to_string(options.beams) + " beams");
  PG_CHECK(std::isfinite(options.length_penalty), "the length penalty");
  PG_CHECK(max_tokens >= 1, std::to_string(max_tokens) + " tokens");
}

float Beams::divided(float score, Index length) const {
  return score / static_cast<float>(std::pow(static_cast<double>(length), options_.length_penalty));
}

// The best ways to go on, the best one first.
std::vector<Beams::Beam> Beams::candidates(View<const float, 2> log_probabilities,
                                           View<const float, 2> before_rules) const {
  struct Way {
    float score;
    Index beam;
    TokenId id;
  };
  const auto is_better = [](const Way& a, const Way& b) {
    return a.score != b.score ? a.score > b.score
                              : std::pair(a.beam, a.id) < std::pair(b.beam, b.id);
  };
  const auto ends = static_cast<Index>(end_tokens_.size());
  const auto most = static_cast<std::size_t>(std::max(Index{2}, 1 + ends) * options_.beams);
  std::vector<Way> best;  // a heap, on top of which is the worst
  for (Index b = 0; b < log_probabilities.size(0); ++b) {
    const float score = running_[static_cast<std::size_t>(b)].score;
    for (Index v = 0; v < log_probabilities.size(1); ++v) {
      const Way way{score + log_probabilities(b, v), b, static_cast<TokenId>(v)};
      if (!(way.score < INFINITY)) {  // not taken by a NaN either
        throw std::runtime_error("log-probability " + std::to_string(v) + " of beam " +
                                 std::to_string(b) + " is not a finite number");
      }
      if (way.score == -INFINITY || (best.size() == most && !is_better(way, best[0]))) continue;
      if (best.size() == most) {
        std::pop_heap(best.begin(), best.end(), is_better);
        best.pop_back();
      }
      best.push_back(way);
      std::push_heap(best.begin(), best.end(), is_better);
    }
  }
  if (best.empty()) throw std::runtime_error("no token can follow");
  std::sort_heap(best.begin(), best.end(), is_better);

  std::vector<Beam> all;
  for (const Way& way : best) {
    Beam& beam = all.emplace_back(running_[static_cast<std::size_t>(way.beam)]);
    beam.ids.push_back(way.id);
    beam.parents.push_back(way.beam);
    beam.log_probabilities.push_back(before_rules(way.beam, way.id));
    beam.score = way.score;
  }
  return all;
}

void Beams::step(View<const float, 2> log_probabilities, View<const float, 2> before_rules) {
  PG_CHECK(goes_on_, "the search is at its end");
  PG_CHECK(log_probabilities.size(0) == static_cast<Index>(running_.size()),
           "rows of " + std::to_string(running_.size()) + " beams");
  PG_CHECK(before_rules.shape() == log_probabilities.shape(), "the same rows before the rules");
  const auto beams = static_cast<std::size_t>(options_.beams);
  std::vector<Beam> all = candidates(log_probabilities, before_rules);
  ++length_;
  running_.clear();
  for (std::size_t place = 0; place < all.size(); ++place) {
    const std::vector<TokenId>& ids = all[place].ids;
    const bool ends = end_tokens_.contains(ids.back()) || (stops_ && stops_(ids));
    if (!ends && running_.size() < beams) running_.push_back(all[place]);
    if (place >= beams || !(ends || length_ == max_tokens_)) continue;
    Beam& done = finished_.emplace_back(std::move(all[place]));
    done.score = divided(done.score, length_);
  }
  std::stable_sort(finished_.begin(), finished_.end(),
                   [](const Beam& a, const Beam& b) { return a.score > b.score; });
  if (finished_.size() > beams) finished_.resize(beams);

  const bool are_enough = finished_.size() == beams;
  goes_on_ = length_ < max_tokens_ && !running_.empty();
  if (are_enough && options_.early_stopping == EarlyStopping::yes) goes_on_ = false;
  if (are_enough && goes_on_) {
    const bool may_grow =
        options_.early_stopping == EarlyStopping::never && options_.length_penalty > 0;
    const float best = divided(running_[0].score, may_grow ? max_tokens_ : length_);
    goes_on_ = best > finished_.back().score;
  }
}

}  // namespace paligemma
