// A reply as it is written, token by token.
//
// Read next: paligemma/pipeline.h.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "paligemma/pipeline.h"

namespace paligemma {

// Its text appears as its tokens do, and ends where a stop string does.
class ReplyWriter {
 public:
  ReplyWriter(const Tokenizer& tokenizer, Reply reply, const GenerateOptions& how,
              const ReplyOptions& options)
      : reply_(std::move(reply)),
        end_tokens_(how.end_tokens),
        options_(options),
        stream_(tokenizer) {}

  bool add(const GeneratedToken& token) {
    reply_.tokens.push_back(token);
    reply_.ended = end_tokens_.count(token.id) != 0;
    if (reply_.ended) return true;
    say(stream_.step(token.id));
    reply_.stopped = std::ranges::any_of(options_.stop, [&](const std::string& stop) {
      return reply_.text.find(stop) != reply_.text.npos;
    });
    return !reply_.stopped;
  }

  Reply finish() {
    say(stream_.finish());
    return std::move(reply_);
  }

 private:
  void say(const std::string& text) {
    reply_.text += text;
    if (!text.empty() && options_.on_text) options_.on_text(text);
  }

  Reply reply_;
  const std::set<TokenId> end_tokens_;
  const ReplyOptions options_;
  DecodeStream stream_;
};

}  // namespace paligemma
