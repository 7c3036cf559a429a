// Merges of byte pair encoding, said as scores.
//
//   merges "a" "b"; "ab" "c"; "a" "bc"  ->  ab 0, abc -1          (bc is no piece)
//
// tokenizers joins the neighbours whose merge stands first in a list; SentencePiece, those whose union is the
// piece of the highest score. A score is minus the rank of the piece's first merge, and that is the same if the
// list was made of scores, as every Gemma's was: it has each way to put a piece together from two, and those of one
// piece stand side by side. Both are checked, since nothing would say that ids are others.
//
// Runs of one character (blanks) may be scattered: their merges are sorted by length or id. Whichever comes
// first, a run becomes the same pieces in the same order from its left end, and so it does by scores.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "processing/piece_table.h"
#include "processing/sentencepiece_model.h"
#include "tensor/json.h"

namespace paligemma {

using Merge = std::pair<std::string_view, std::string_view>;

// Of all pieces, by id: 0 for what no merge makes. Merges that make or need a piece which is not normal
// count for nothing. Throws ModelFileError by `model`, the fields "vocab" and "merges" are in.
std::vector<float> merge_scores(const std::vector<std::string_view>& pieces,
                                const PieceTable& table, const std::vector<PieceType>& types,
                                const std::vector<Merge>& merges, const JsonFields& model);

}  // namespace paligemma
