// tokenizer.json, the tokenizer that transformers 5 saves, said as a model of the SentencePiece library.
//
//   {"added_tokens": [{"id": 1790, "content": "<image>", "normalized": false, "special": true, ...}, ...],
//    "model": {"type": "BPE", "vocab": {"▁red": 377, ...}, "merges": [["▁", "red"], ...], ...}, ...}
//
//   piece of the vocabulary                  normal, its score by processing/merge_scores.h
//   <0x00> to <0xFF>                         byte
//   <bos>, <eos>, <pad>; added and special   control
//   added                                    user-defined: taken out of a text before anything is joined
//   added run of U+2581                      normal: blanks are joined; U+2581 that is typed is taken out
//
// Added tokens with "normalized": false are looked for in a text as it is typed, before the library sees it.
//
// What would change ids or text, and is not as every Gemma's file has it, is refused by its name.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processing/tokenizer.h"

namespace paligemma {

struct AddedToken {
  std::string text;
  TokenId id;
};

struct TokenizerJson {
  std::string model;              // for the library
  std::vector<AddedToken> typed;  // to be looked for before the library sees a text
  std::set<TokenId> silent;       // special: without a text of their own in an answer
};

// `where` begins the messages. Throws ModelFileError.
TokenizerJson parse_tokenizer_json(std::string_view text, const std::string& where,
                                   TokenId image_token);

// The field alone; what comes behind it is not read. Throws ModelFileError.
std::vector<AddedToken> added_tokens_of(std::string_view text, const std::string& where);

}  // namespace paligemma
