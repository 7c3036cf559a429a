#include "processing/sentencepiece_model.h"

#include <bit>
#include <cstdint>

namespace paligemma {
namespace {

// How a field's value is written: a number in groups of seven bits, so many bytes, or four of them.
enum Wire { varint = 0, length_delimited = 2, fixed32 = 5 };

void append_varint(std::string& message, std::size_t number) {
  for (; number >= 0x80; number >>= 7) message += static_cast<char>(number | 0x80);
  message += static_cast<char>(number);
}

void append_tag(std::string& message, std::size_t field, Wire wire) {
  append_varint(message, field << 3 | wire);
}

void append_number(std::string& message, std::size_t field, std::size_t number) {
  append_tag(message, field, varint);
  append_varint(message, number);
}

void append_bytes(std::string& message, std::size_t field, std::string_view bytes) {
  append_tag(message, field, length_delimited);
  append_varint(message, bytes.size());
  message += bytes;
}

void append_float(std::string& message, std::size_t field, float number) {
  append_tag(message, field, fixed32);
  const auto bits = std::bit_cast<std::uint32_t>(number);
  for (int shift = 0; shift < 32; shift += 8) message += static_cast<char>(bits >> shift);
}

}  // namespace

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string model_without_pieces() {
  constexpr std::size_t kTrainerSpec = 2, kModelType = 3, kBpe = 2, kByteFallback = 35;
  std::string trainer;
  append_number(trainer, kModelType, kBpe);
  append_number(trainer, kByteFallback, 1);

  constexpr std::size_t kNormalizerSpec = 3, kName = 1, kAddDummyPrefix = 3,
                        kRemoveExtraWhitespaces = 4, kEscapeWhitespaces = 5;
  std::string normalizer;
  append_bytes(normalizer, kName, "identity");
  append_number(normalizer, kAddDummyPrefix, 0);
  append_number(normalizer, kRemoveExtraWhitespaces, 0);
  append_number(normalizer, kEscapeWhitespaces, 1);

  std::string model;
  append_bytes(model, kTrainerSpec, trainer);
  append_bytes(model, kNormalizerSpec, normalizer);
  return model;
}

void append_piece(std::string& model, std::string_view piece, PieceType type, float score) {
  constexpr std::size_t kPieces = 1, kPiece = 1, kScore = 2, kType = 3;
  std::string record;
  append_bytes(record, kPiece, piece);
  append_float(record, kScore, score);
  append_number(record, kType, static_cast<std::size_t>(type));
  append_bytes(model, kPieces, record);
}

}  // namespace paligemma
