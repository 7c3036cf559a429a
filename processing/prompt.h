// Prompt: what the model is given, picture and words, as one row of token ids.
//
//   <image> x L   <bos>   the prompt's tokens   "\n"          then the answer, then <eos>
//
// The image tokens are places for the picture's rows; of several pictures they stand one behind the other. <bos>
// stands behind the last picture, not before it. The newline separates prompt from answer and is always a token of
// its own, never merged with the prompt's end.
//
// Nobody has to type <image>, <bos> or the last newline. <image> in the text says where a picture stands: words
// before it belong to the prefix as well. <bos> is dropped if it is typed, for it is added here. A newline that is
// typed stays, and the last one follows it as a token of its own. `note` says so.
//
// Paper: Beyer et al. 2024, "PaliGemma", section 3.1 and figure 2; the tasks are in section 3.2.5.
// Read next: processing/padding.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "processing/tokenizer.h"

namespace paligemma {

struct Prompt {
  std::vector<TokenId> ids;
  std::string note;  // empty, or what was typed in vain
};

// L tokens for each of so many pictures. Throws PromptError if the text is not UTF-8, or says <image> another
// number of times.
Prompt make_prompt(const Tokenizer& tokenizer, std::string_view text, int image_tokens,
                   int pictures = 1);

// "[256 x <image>] <bos> caption en \n", for people.
std::string prompt_text(const Tokenizer& tokenizer, const std::vector<TokenId>& ids);

}  // namespace paligemma
