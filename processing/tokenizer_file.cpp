#include "processing/tokenizer_file.h"

#include <limits>
#include <map>

#include "processing/sentencepiece_model.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/mapped_file.h"
#include "tensor/paths.h"
#include "tensor/utf8.h"
#include "tensor/what_it_is.h"

namespace paligemma {
namespace {

namespace fs = std::filesystem;
using sentencepiece::SentencePieceProcessor;

bool has(const SentencePieceProcessor& processor, const AddedToken& token) {
  return token.id < processor.GetPieceSize() && processor.IdToPiece(token.id) == token.text;
}

bool is_json(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first != text.npos && text[first] == '{';
}

void load(TokenizerFile& file, std::string_view model) {
  file.processor = std::make_unique<SentencePieceProcessor>();
  const auto status = file.processor->LoadFromSerializedProto({model.data(), model.size()});
  if (status.ok()) return;
  const std::string found = what_it_is(model);
  throw ModelFileError(file.path.string() +
                       (found.empty() ? ": not a SentencePiece model" : ": looks like " + found));
}

// added_tokens.json, {"<car>": 1791}: appended to the model, whose repeated fields may stand anywhere.
void add_tokens(TokenizerFile& file, std::string model, TokenId image_token, TokenId rows) {
  const fs::path path = file.path.parent_path() / "added_tokens.json";
  if (!is_there(path)) return;
  const JsonFields fields(MappedFile(path).text(), path.string());
  std::map<TokenId, std::string> added;
  for (const std::string& text : fields.names()) {
    constexpr Index kMax = std::numeric_limits<TokenId>::max();
    const AddedToken token{text, static_cast<TokenId>(fields.whole(text, kMax))};
    const auto fail = [&](const std::string& problem) {
      throw ModelFileError(path.string() + ": " + printable(text) + " is " +
                           std::to_string(token.id) + ", " + problem);
    };
    if (text == "<image>" && image_token != kNoToken) {
      if (token.id != image_token) fail("config.json says " + std::to_string(image_token));
      continue;
    }
    if (text.empty() || has(*file.processor, token)) continue;
    const TokenId id = file.processor->PieceToId(text);
    if (file.processor->IdToPiece(id) == text) fail("the model's own is " + std::to_string(id));
    if (text.find('\0') != text.npos) fail("and has a NUL, which is not supported");
    if (token.id >= rows) fail("the embedding table has " + std::to_string(rows) + " rows");
    if (token.id < file.processor->GetPieceSize() || !added.emplace(token.id, text).second) {
      fail("which is another token's id");
    }
  }
  if (added.empty()) return;

  const TokenId end = added.rbegin()->first + 1;
  for (TokenId id = file.processor->GetPieceSize(); id < end; ++id) {
    const auto found = added.find(id);
    if (found != added.end()) {
      append_piece(model, replaced(found->second, " ", kBlank), PieceType::user_defined);
    } else {
      append_piece(model, id == image_token ? "<image>" : nameless(id), PieceType::control);
    }
  }
  load(file, model);
}

// Which tokens a tokenizer.json has that the model beside it has not.
std::string note_of_another(const TokenizerFile& file, const fs::path& json) {
  std::vector<AddedToken> missing;
  try {
    for (AddedToken& token : added_tokens_of(MappedFile(json).text(), json.string())) {
      if (token.text != "<image>" && !has(*file.processor, token)) missing.push_back(token);
    }
  } catch (const std::runtime_error&) {  // it is not needed
  }
  if (missing.empty()) return "";
  const std::string more =
      missing.size() == 1 ? "" : " and " + std::to_string(missing.size() - 1) + " more";
  return "tokenizer.model is used, which has not " + printable(missing[0].text) + more +
         " of tokenizer.json: for that one give --tokenizer " + printable(json.string());
}

TokenizerFile open_file(const fs::path& path, TokenId image_token, TokenId rows) {
  TokenizerFile file{path, nullptr, {}, {}, ""};
  const MappedFile mapped(path);
  std::string model;
  if (is_json(mapped.text())) {
    TokenizerJson json = parse_tokenizer_json(mapped.text(), path.string(), image_token);
    model = std::move(json.model);
    file.typed = std::move(json.typed);
    file.silent = std::move(json.silent);
  } else {
    model = mapped.text();
  }
  load(file, model);
  add_tokens(file, std::move(model), image_token, rows);
  return file;
}

}  // namespace

TokenizerFile open_tokenizer(const fs::path& path, TokenId image_token, TokenId rows) {
  if (!is_folder(path)) return open_file(path, image_token, rows);
  const fs::path model = path / "tokenizer.model", json = path / "tokenizer.json";
  const fs::path keras =
      path / "assets/tokenizer/vocabulary.spm";  // its tokenizer.json names a class
  if (is_there(model)) {
    TokenizerFile file = open_file(model, image_token, rows);
    if (is_there(json)) file.note = note_of_another(file, json);
    return file;
  }
  if (is_there(keras)) return open_file(keras, image_token, rows);
  if (is_there(json)) return open_file(json, image_token, rows);
  throw NotFoundError(model.string() +
                      ": no such file, and no tokenizer.json beside it; give --tokenizer");
}

std::string nameless(TokenId id) { return "<" + std::to_string(id) + ">"; }

}  // namespace paligemma
