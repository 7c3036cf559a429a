#include "processing/prompt.h"

#include <algorithm>
#include <string>

#include "tensor/errors.h"

namespace paligemma {

Prompt make_prompt(const Tokenizer& tokenizer, std::string_view text, int image_tokens,
                   int pictures) {
  Prompt prompt;
  if (text.ends_with('\n')) {
    prompt.note =
        "the prompt ends in a newline of its own, and the one that ends every prompt follows";
  }
  const TokenId image = tokenizer.image();
  std::vector<TokenId> words = tokenizer.encode(text);
  if (std::erase(words, tokenizer.bos()) > 0) {
    prompt.note = "<bos> in the prompt was dropped: it is added for you";
  }
  const auto typed = std::count(words.begin(), words.end(), image);
  if (typed == 0) {
    words.insert(words.begin(), static_cast<std::size_t>(pictures), image);
  } else if (typed != pictures) {
    throw PromptError("pictures: " + std::to_string(pictures) +
                      ", <image> in the prompt: " + std::to_string(typed));
  }
  words.insert(std::find(words.rbegin(), words.rend(), image).base(), tokenizer.bos());

  for (const TokenId id : words) {
    prompt.ids.insert(prompt.ids.end(), id == image ? static_cast<std::size_t>(image_tokens) : 1,
                      id);
  }
  prompt.ids.push_back(tokenizer.newline());
  return prompt;
}

std::string prompt_text(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::string text;
  for (auto id = ids.begin(); id != ids.end();) {
    text += text.empty() ? "" : " ";
    if (*id != tokenizer.image()) {
      text += *id == tokenizer.newline() ? "\\n" : tokenizer.piece(*id);
      ++id;
      continue;
    }
    const auto end = std::find_if(id, ids.end(), [&](TokenId i) { return i != *id; });
    text += "[" + std::to_string(end - id) + " x <image>]";
    id = end;
  }
  return text;
}

}  // namespace paligemma
