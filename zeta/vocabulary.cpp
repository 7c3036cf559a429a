#include "zeta/vocabulary.h"

#include "tensor/errors.h"

namespace paligemma::zeta {

std::vector<TokenId> ids_of(const std::vector<std::string>& vocabulary, std::string_view text) {
  std::vector<TokenId> ids;
  while (!text.empty()) {
    std::size_t longest = 0, found = 0;
    for (std::size_t id = 0; id < vocabulary.size(); ++id) {
      const std::string& word = vocabulary[id];
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

}  // namespace paligemma::zeta
