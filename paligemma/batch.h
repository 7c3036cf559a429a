// Batch: several answers grow at once, and when one ends, a waiting one takes its place.
//
//   begin   a request's prefix through the decoder, alone; its first token. Several requests about the same share it
//   step    one token of every answer through the decoder, as segments of one step; what comes behind each
//
// A token of one answer reads every weight; one token of each of eight reads them once. Nothing is padded:
// each answer has a sequence of its own in the cache and ends when it ends. A prefix goes alone, since its rows are
// enough to keep the arithmetic busy.
//
// Each answer is generate()'s: its rows are computed from the same numbers, on the reference bit for bit.
//
// Paper: Yu et al. 2022, "Orca: a distributed serving system for Transformer-based generative models", section 3
// ("iteration-level scheduling"; "selective batching" is what segments do in attention).
//
// Read next: paligemma/projector.h.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "paligemma/generate.h"

namespace paligemma {

template <class On, class W, class Rows>
class Batch {
 public:
  struct Request {
    Rows image_rows;  // of a picture that is there until begin() returns
    std::vector<TokenId> prompt;
    GenerateOptions options;
    std::function<bool(const GeneratedToken&)> on_token;  // false ends the answer
    std::function<void()> on_end;
  };

  Batch(const Model<On, W>& model, Index at_most) : model_(model), at_most_(at_most) {
    PG_CHECK(at_most > 0, "a batch of none");
  }

  Index size() const { return static_cast<Index>(running_.size()); }

  // What ends with its first token is not kept.
  void begin(Request request) {
    std::vector<Request> one;
    one.push_back(std::move(request));
    begin(std::move(one));
  }

  // Requests of one picture, prompt and max_tokens.
  template <class Tap = NoTap>
  void begin(std::vector<Request> requests, const Tap& tap = {}) {
    const auto count = static_cast<Index>(requests.size());
    PG_CHECK(count > 0 && size() + count <= at_most_, "the batch is full");
    const Index max_tokens = requests[0].options.max_tokens;
    if (max_tokens == 0) {
      for (const Request& request : requests) request.on_end();
      return;
    }
    const std::vector<TokenId> prompt = requests[0].prompt;
    const auto T = static_cast<Index>(prompt.size());
    make_room(T, T + max_tokens);
    const auto start = Clock::now();
    forward(model_, prompt, requests[0].image_rows, T, *session_, tap);
    std::vector<Running> all;
    for (Request& request : requests) {
      const SequenceId mine =
          all.empty() ? session_->sequence : session_->cache.fork(session_->sequence);
      all.push_back({mine, T, 0, prompt, std::move(request)});
    }
    for (Running& one : all) {
      if (goes_on(one, 0, start)) running_.push_back(std::move(one));
    }
  }

  // One more token of each.
  void step() {
    if (running_.empty()) return;
    std::vector<TokenId> last;
    std::vector<gemma::Segment> segments;
    for (const Running& one : running_) {
      last.push_back(one.history.back());
      segments.push_back({one.sequence, session_->cache.length(one.sequence), 1, one.prefix});
    }
    const auto start = Clock::now();
    forward_step(model_, last, std::span<const gemma::Segment>(segments), *session_);
    std::vector<Running> still;
    for (std::size_t i = 0; i < running_.size(); ++i) {
      const bool stays = goes_on(running_[i], static_cast<Index>(i), start);
      if (stays) still.push_back(std::move(running_[i]));
    }
    running_ = std::move(still);
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Running {
    SequenceId sequence;
    Index prefix, tokens;  // so many of the answer
    std::vector<TokenId> history;
    Request request;
  };

  // Opens a sequence of the session, which has activations for the longest prefix so far.
  void make_room(Index prefix, Index capacity) {
    if (!session_) {
      session_.emplace(model_.text, prefix, capacity, at_most_);
      return;
    }
    if (session_->scratch.x.view().size(0) < prefix) {
      session_->scratch = gemma::DecoderScratch<On>(model_.text, prefix, at_most_);
    }
    session_->sequence = session_->cache.open(capacity);
  }

  // Chooses by this row of the logits, and tells; closes an answer that has ended.
  bool goes_on(Running& one, Index row, Clock::time_point start) {
    const GenerateOptions& options = one.request.options;
    const Choice next =
        options.rules != TokenRules{}
            ? choose_by_rules(model_, *session_, options, one.history, one.tokens, row)
            : choose(model_, *session_, options.sampler, one.tokens, row);
    one.history.push_back(next.id);
    ++one.tokens;
    const std::chrono::duration<double, std::milli> took = Clock::now() - start;
    const bool is_wanted = one.request.on_token({next.id, next.log_probability, start, took.count(),
                                                 likeliest(model_, *session_, options, row)});
    if (is_wanted && options.end_tokens.count(next.id) == 0 && one.tokens < options.max_tokens) {
      return true;
    }
    session_->cache.close(one.sequence);
    one.request.on_end();
    return false;
  }

  const Model<On, W>& model_;
  const Index at_most_;
  std::optional<Session<On>> session_;
  std::vector<Running> running_;
};

}  // namespace paligemma
