#include "zeta/vocabulary.h"

#include "tensor/errors.h"
#include "tensor/paths.h"

namespace paligemma::zeta {

std::vector<TokenId> Vocabulary::encode(std::string_view text) const {
  if (tokenizer_) return tokenizer_->encode(text);
  std::vector<TokenId> ids;
  while (!text.empty()) {
    std::size_t longest = 0, found = 0;
    for (std::size_t id = 0; id < words_.size(); ++id) {
      const std::string& word = words_[id];
      if (word.size() > longest && text.starts_with(word)) longest = word.size(), found = id;
    }
    if (longest == 0) {
      throw PromptError("\"" + std::string(text.substr(0, 20)) +
                        "\" begins with no word of the model's vocabulary");
    }
    ids.push_back(static_cast<TokenId>(found));
    text.remove_prefix(longest);
  }
  return ids;
}

std::string Vocabulary::piece(TokenId id) const {
  return tokenizer_ ? tokenizer_->piece(id) : words_.at(static_cast<std::size_t>(id));
}

std::optional<Vocabulary> vocabulary_of(const Config& config, const std::filesystem::path& folder,
                                        Index rows) {
  if (!config.vocabulary.empty()) return Vocabulary(config.vocabulary);
  const auto path = folder / "tokenizer.model";
  if (!is_there(path)) return std::nullopt;
  return Vocabulary(Tokenizer(path, static_cast<TokenId>(rows)));
}

TextStream::TextStream(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
  if (vocabulary.tokenizer_) pieces_.emplace(*vocabulary.tokenizer_);
}

std::string TextStream::step(TokenId id) {
  return pieces_ ? pieces_->step(id) : vocabulary_.piece(id);
}

std::string TextStream::finish() { return pieces_ ? pieces_->finish() : ""; }

}  // namespace paligemma::zeta
