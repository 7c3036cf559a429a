#include "processing/tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <cstdio>

#include "tensor/errors.h"
#include "tensor/mapped_file.h"
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

}  // namespace

struct Tokenizer::Library {
  sentencepiece::SentencePieceProcessor processor;
};

Tokenizer::Tokenizer(const std::filesystem::path& model, TokenId image_token, TokenId rows)
    : library_(std::make_unique<Library>()), image_(image_token) {
  const std::string where = model.string();
  const MappedFile file(model);
  auto& processor = library_->processor;
  if (!processor.LoadFromSerializedProto({file.text().data(), file.text().size()}).ok()) {
    throw ModelFileError(where + ": not a SentencePiece model");
  }
  if (processor.GetPieceSize() > rows) {
    throw ModelFileError(where + ": has " + std::to_string(processor.GetPieceSize()) +
                         " pieces, the embedding table has " + std::to_string(rows) + " rows");
  }
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

  typed_.emplace_back("<image>", image_);
  for (TokenId id = 0; id < processor.GetPieceSize(); ++id) {
    if (processor.IsControl(id) || processor.IsUnknown(id)) {
      typed_.emplace_back(processor.IdToPiece(id), id);
    }
  }
}

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
  check_utf8(text);
  std::vector<TokenId> ids;
  const auto append = [&](std::string_view plain) {
    std::vector<int> more;
    if (!plain.empty()) library_->processor.Encode({plain.data(), plain.size()}, &more);
    ids.insert(ids.end(), more.begin(), more.end());
  };

  // Up to the next token that is spelt out, then that token.
  std::size_t begin = 0;
  for (std::size_t at = text.find('<'); at != text.npos; at = text.find('<', at)) {
    const auto* found = &typed_.front();
    const auto* end = found + typed_.size();
    while (found != end && !text.substr(at).starts_with(found->first)) ++found;
    if (found == end) {
      ++at;
      continue;
    }
    append(text.substr(begin, at - begin));
    ids.push_back(found->second);
    begin = at = at + found->first.size();
  }
  append(text.substr(begin));
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids) const {
  // Ids beyond the file, the image token among them, have no text, and neither has <unk>.
  const auto& processor = library_->processor;
  std::vector<int> known;
  for (TokenId id : ids) {
    if (id >= 0 && id < processor.GetPieceSize() && !processor.IsUnknown(id)) known.push_back(id);
  }
  std::string text;
  processor.Decode(known, &text);
  return text;
}

std::string Tokenizer::piece(TokenId id) const {
  if (id == image_) return "<image>";
  if (id < 0 || id >= library_->processor.GetPieceSize()) return "<" + std::to_string(id) + ">";
  return library_->processor.IdToPiece(id);
}

std::optional<int> Tokenizer::loc(TokenId id) const {
  if (id < first_loc_ || id >= first_loc_ + kLocTokens) return std::nullopt;
  return id - first_loc_;
}

std::optional<int> Tokenizer::seg(TokenId id) const {
  if (id < first_seg_ || id >= first_seg_ + kSegTokens) return std::nullopt;
  return id - first_seg_;
}

std::string DecodeStream::step(TokenId id) {
  const auto& processor = tokenizer_.library_->processor;
  if (id < 0 || id >= processor.GetPieceSize() || processor.IsUnknown(id)) return "";
  std::string piece = processor.IdToPiece(id);
  if (processor.IsByte(id)) {  // "<0xC3>"
    bytes_ += static_cast<char>(std::stoi(piece.substr(1), nullptr, 16));
    return take_characters(false);
  }

  std::string text = take_characters(true);
  if (processor.IsControl(id)) return text;
  if (has_text_) {
    constexpr std::string_view kBlank = "▁";
    for (std::size_t at = 0; (at = piece.find(kBlank, at)) != piece.npos; ++at) {
      piece.replace(at, kBlank.size(), " ");
    }
    return text + piece;
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
