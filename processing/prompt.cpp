#include "processing/prompt.h"

#include <algorithm>

namespace paligemma {

Prompt make_prompt(const Tokenizer& tokenizer, std::string_view text, int image_tokens) {
  Prompt prompt;
  if (text.ends_with('\n')) {
    prompt.note =
        "the prompt ends in a newline of its own, and the one that ends every prompt follows";
  }
  const auto is_added_here = [&](TokenId id) {
    return id == tokenizer.image() || id == tokenizer.bos();
  };
  std::vector<TokenId> words = tokenizer.encode(text);
  if (std::erase_if(words, is_added_here) > 0) {
    prompt.note = "<image> and <bos> in the prompt were dropped: they are added for you";
  }

  prompt.ids.assign(static_cast<std::size_t>(image_tokens), tokenizer.image());
  prompt.ids.push_back(tokenizer.bos());
  prompt.ids.insert(prompt.ids.end(), words.begin(), words.end());
  prompt.ids.push_back(tokenizer.newline());
  return prompt;
}

std::string prompt_text(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  const auto images = std::count(ids.begin(), ids.end(), tokenizer.image());
  std::string text = "[" + std::to_string(images) + " x <image>]";
  for (TokenId id : ids) {
    if (id == tokenizer.image()) continue;
    text += " " + (id == tokenizer.newline() ? "\\n" : tokenizer.piece(id));
  }
  return text;
}

}  // namespace paligemma
