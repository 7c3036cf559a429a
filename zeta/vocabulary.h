// Vocabulary: the words of a model: text to ids and back.
//
//   {".", "x", "o", "<end>"}:   ".xo"  <->  [0, 1, 2]
//
// Either config.json lists them: then a text is its words one behind the other, with no blanks but those that
// stand in words, and of several words that a text may go on with, the longest is taken. Or they are the
// pieces of the tokenizer.model beside it, which the sentencepiece library reads (processing/tokenizer.h).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processing/tokenizer.h"
#include "zeta/config.h"

namespace paligemma::zeta {

class Vocabulary {
 public:
  explicit Vocabulary(std::vector<std::string> words) : words_(std::move(words)) {}
  explicit Vocabulary(Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}

  // Throws PromptError where no word fits, or the text is not UTF-8.
  std::vector<TokenId> encode(std::string_view text) const;
  std::string piece(TokenId id) const;  // "x", "▁red"

 private:
  friend class TextStream;
  std::vector<std::string> words_;
  std::optional<Tokenizer> tokenizer_;
};

// A model's own, of ids below `rows`; nothing if it has none. What config.json lists goes before a file.
// Throws ModelFileError.
std::optional<Vocabulary> vocabulary_of(const Config& config, const std::filesystem::path& folder,
                                        Index rows);

// A text while it is being written; of pieces the text that no later one can change.
class TextStream {
 public:
  explicit TextStream(const Vocabulary& vocabulary);
  std::string step(TokenId id);
  std::string finish();

 private:
  const Vocabulary& vocabulary_;
  std::optional<DecodeStream> pieces_;
};

}  // namespace paligemma::zeta
