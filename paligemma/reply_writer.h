// A reply as it is written, token by token.
//
// Read next: paligemma/pipeline.h.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "paligemma/pipeline.h"

namespace paligemma {

// Whether one of the stop strings stands in a text, whose first `known` bytes have none.
inline bool has_one_of(std::string_view text, const std::vector<std::string>& stop,
                       std::size_t known = 0) {
  return std::ranges::any_of(stop, [&](const std::string& s) {
    return text.find(s, known - std::min(known, s.size())) != text.npos;
  });
}

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
    const std::size_t before = reply_.text.size();
    say(stream_.step(token.id));
    reply_.stopped = has_one_of(reply_.text, options_.stop, before);
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
