#include "processing/tokenizer.h"

#include <algorithm>
#include <cstdio>

#include "processing/sentencepiece_model.h"
#include "processing/tokenizer_file.h"
#include "tensor/errors.h"
#include "tensor/utf8.h"

namespace paligemma {
namespace {

// "<loc0051>" from ("loc", 4, 51).
std::string numbered(const char* kind, int digits, int number) {
  char text[32];
  std::snprintf(text, sizeof text, "<%s%0*d>", kind, digits, number);
  return text;
}

// Whether bytes behind these can still make them a character.
bool may_become_character(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  if (bytes.size() == 1) return lead >= 0xc2 && lead <= 0xf4;
  return utf8_length(std::string(bytes) + "\x80\x80") > bytes.size();
}

void check_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text.substr(at));
    if (length == 0) {
      throw PromptError("the text is not UTF-8 (byte " + std::to_string(at + 1) + ")");
    }
    at += length;
  }
}

void check_size(const TokenizerFile& file, TokenId rows) {
  if (file.processor->GetPieceSize() <= rows) return;
  throw ModelFileError(file.path.string() + ": has " +
                       std::to_string(file.processor->GetPieceSize()) +
                       " pieces, the embedding table has " + std::to_string(rows) + " rows");
}

}  // namespace

struct Tokenizer::Library {
  TokenizerFile file;
  sentencepiece::SentencePieceProcessor& processor = *file.processor;
  std::string firsts = {};  // what the tokens that text may spell out begin with

  // Ids beyond the file, the image token among them, have none, and neither has <unk>.
  bool has_text(TokenId id) const {
    return id >= 0 && id < processor.GetPieceSize() && !processor.IsUnknown(id) &&
           file.silent.count(id) == 0;
  }
};

Tokenizer::Tokenizer(const std::filesystem::path& path, TokenId rows)
    : library_(std::make_unique<Library>(Library{open_tokenizer(path, kNoToken, rows)})) {
  check_size(library_->file, rows);
  find_typed_tokens();
}

Tokenizer::Tokenizer(const std::filesystem::path& path, TokenId image_token, TokenId rows)
    : library_(std::make_unique<Library>(Library{open_tokenizer(path, image_token, rows)})),
      image_(image_token) {
  check_size(library_->file, rows);
  const std::string where = library_->file.path.string();
  const auto& processor = library_->processor;
  if (image_ < 0 || image_ > rows) {  // the row itself is never looked up
    throw ModelFileError(where + ": config.json says that the image token is " +
                         std::to_string(image_) + ", the embedding table has " +
                         std::to_string(rows) + " rows");
  }

  const auto id_of = [&](const std::string& piece) {
    const TokenId id = processor.PieceToId(piece);
    if (processor.IdToPiece(id) != piece) {
      throw ModelFileError(where + ": has no " + piece + "; it is not a PaliGemma tokenizer");
    }
    return id;
  };
  const auto block_of = [&](const char* kind, int digits, int count) {
    const TokenId first = id_of(numbered(kind, digits, 0));
    for (int i = 1; i < count; ++i) {
      const std::string piece = numbered(kind, digits, i);
      if (id_of(piece) != first + i)
        throw ModelFileError(where + ": " + piece + " is out of order");
    }
    return first;
  };
  bos_ = id_of("<bos>");
  eos_ = id_of("<eos>");
  newline_ = id_of("\n");
  first_loc_ = block_of("loc", 4, kLocTokens);
  first_seg_ = block_of("seg", 3, kSegTokens);
  if (image_ < processor.GetPieceSize() && processor.IdToPiece(image_) != "<image>") {
    throw ModelFileError(where + ": config.json says that the image token is " +
                         std::to_string(image_) + ", which here is " + processor.IdToPiece(image_));
  }
  library_->file.typed.push_back({"<image>", image_});
  find_typed_tokens();
}

// Those that text may spell out, the longest first.
void Tokenizer::find_typed_tokens() {
  const auto& processor = library_->processor;
  auto& typed = library_->file.typed;
  for (TokenId id = 0; id < processor.GetPieceSize(); ++id) {
    const std::string& piece = processor.IdToPiece(id);
    const bool is_typed = processor.IsControl(id) || processor.IsUnknown(id);
    if (is_typed && piece != nameless(id)) typed.push_back({piece, id});
  }
  std::stable_sort(typed.begin(), typed.end(), [](const AddedToken& a, const AddedToken& b) {
    return a.text.size() > b.text.size();
  });
  for (const AddedToken& token : typed) {
    if (library_->firsts.find(token.text[0]) == std::string::npos) {
      library_->firsts += token.text[0];
    }
  }
}

const std::string& Tokenizer::note() const { return library_->file.note; }

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
  check_utf8(text);
  std::vector<TokenId> ids;
  const auto append = [&](std::string_view plain) {
    std::vector<int> more;
    if (!plain.empty()) library_->processor.Encode({plain.data(), plain.size()}, &more);
    ids.insert(ids.end(), more.begin(), more.end());
  };

  // Up to the next token that is spelt out, then that token.
  const auto& typed = library_->file.typed;
  std::size_t begin = 0;
  for (std::size_t at = 0; (at = text.find_first_of(library_->firsts, at)) != text.npos;) {
    auto found = typed.begin();
    while (found != typed.end() && !text.substr(at).starts_with(found->text)) ++found;
    if (found == typed.end()) {
      ++at;
      continue;
    }
    append(text.substr(begin, at - begin));
    ids.push_back(found->id);
    begin = at = at + found->text.size();
  }
  append(text.substr(begin));
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids) const {
  std::vector<int> known;
  for (TokenId id : ids) {
    if (library_->has_text(id)) known.push_back(id);
  }
  std::string text;
  library_->processor.Decode(known, &text);
  return text;
}

std::string Tokenizer::piece(TokenId id) const {
  if (id == image_) return "<image>";
  if (id < 0 || id >= library_->processor.GetPieceSize()) return nameless(id);
  return library_->processor.IdToPiece(id);
}

std::optional<int> Tokenizer::loc(TokenId id) const {
  if (!first_loc_ || id < *first_loc_ || id >= *first_loc_ + kLocTokens) return std::nullopt;
  return id - *first_loc_;
}

std::optional<int> Tokenizer::seg(TokenId id) const {
  if (!first_seg_ || id < *first_seg_ || id >= *first_seg_ + kSegTokens) return std::nullopt;
  return id - *first_seg_;
}

std::string DecodeStream::step(TokenId id) {
  if (!tokenizer_.library_->has_text(id)) return "";
  const auto& processor = tokenizer_.library_->processor;
  std::string piece = processor.IdToPiece(id);
  if (processor.IsByte(id)) {  // "<0xC3>"
    bytes_ += static_cast<char>(std::stoi(piece.substr(1), nullptr, 16));
    return take_characters(false);
  }

  std::string text = take_characters(true);
  if (processor.IsControl(id)) return text;
  if (has_text_) {
    return text + replaced(piece, kBlank, " ");
  }
  start_.push_back(id);
  text = tokenizer_.decode(start_);
  has_text_ = !text.empty();
  return text;
}

std::string DecodeStream::finish() { return take_characters(true); }

// The characters that have come whole, and a U+FFFD for each byte that belongs to none.
std::string DecodeStream::take_characters(bool all) {
  std::string text;
  std::size_t at = 0;
  while (at < bytes_.size()) {
    const std::string_view rest = std::string_view(bytes_).substr(at);
    const std::size_t length = utf8_length(rest);
    if (length == 0 && !all && may_become_character(rest)) break;
    text += length == 0 ? "\xef\xbf\xbd" : rest.substr(0, length);
    at += std::max<std::size_t>(length, 1);
  }
  bytes_.erase(0, at);
  has_text_ |= !text.empty();
  return text;
}

}  // namespace paligemma
