// What a tokenizer's file holds, loaded by the SentencePiece library: tokenizer.model or tokenizer.json, and the
// added_tokens.json beside it.
#pragma once

#include <sentencepiece_processor.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "processing/tokenizer_json.h"

namespace paligemma {

struct TokenizerFile {
  std::filesystem::path path;
  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor;
  std::vector<AddedToken> typed;  // to be looked for before the library sees a text
  std::set<TokenId> silent;       // without a text, though the library has one
  std::string note;               // one line for the user, or ""
};

// A file, or a folder with a tokenizer.model or a tokenizer.json; the former wins, and the note says so if the
// latter has tokens that it has not. Where image_token is kNoToken, "<image>" is a token like others.
// Throws NotFoundError or ModelFileError.
TokenizerFile open_tokenizer(const std::filesystem::path& path, TokenId image_token, TokenId rows);

// What an id is called that no piece has: "<1791>".
std::string nameless(TokenId id);

}  // namespace paligemma
