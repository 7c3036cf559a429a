// A model for the SentencePiece library, made in memory.
//
// Its format is a protocol buffer, whose class the library's headers leave out; the few fields that are
// needed (sentencepiece_model.proto, https://github.com/google/sentencepiece) are written here by hand.
#pragma once

#include <string>
#include <string_view>

namespace paligemma {

inline constexpr std::string_view kBlank = "▁";  // U+2581, which stands for a blank in pieces

// "a b", " ", kBlank -> "a▁b"
std::string replaced(std::string text, std::string_view from, std::string_view to);

// The format's own numbers.
enum class PieceType { normal = 1, unknown = 2, control = 3, user_defined = 4, byte = 6 };

// Byte pair encoding as Gemma has it, without a piece yet: single bytes for what no piece writes, a blank
// written U+2581, nothing put in front and nothing taken away.
std::string model_without_pieces();

// Its id is the number of pieces before it. Of the normal ones, neighbours whose union has the highest score
// are joined first.
void append_piece(std::string& model, std::string_view piece, PieceType type, float score = 0);

}  // namespace paligemma
