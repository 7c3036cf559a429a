#include "processing/merge_scores.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "tensor/utf8.h"

namespace paligemma {
namespace {

// A piece's places between two characters, a bit each.
using Places = std::uint64_t;
constexpr std::size_t kMaxCharacters = 64;

std::string quoted(std::string_view text) { return '"' + printable(text) + '"'; }

// "▁▁▁"
bool is_run(std::string_view piece) {
  const std::size_t character = utf8_length(piece);
  return piece.substr(character) == piece.substr(0, piece.size() - character);
}

std::size_t characters(std::string_view text) {
  std::size_t count = 0;
  for (char c : text) count += (c & 0xc0) != 0x80;
  return count;
}

struct Scores {
  const std::vector<std::string_view>& pieces;
  const PieceTable& table;
  const std::vector<PieceType>& types;
  const JsonFields& model;
  std::vector<float> scores{};
  std::vector<Places> joined{};  // the places at which merges put a piece together

  [[noreturn]] void fail_at(const Merge& merge, const std::string& problem) const {
    model.fail("merges", quoted(merge.first) + " + " + quoted(merge.second) + problem);
  }

  bool is_normal(int id) const { return types[static_cast<std::size_t>(id)] == PieceType::normal; }

  void rank(const std::vector<Merge>& merges) {
    const auto count = static_cast<std::ptrdiff_t>(merges.size());
    std::vector<std::array<int, 3>> ids(merges.size());  // of both parts and of their union
#pragma omp parallel for
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      const auto& [left, right] = merges[static_cast<std::size_t>(i)];
      const std::uint64_t hash = PieceTable::hash(left);
      const std::string whole = std::string(left).append(right);
      ids[static_cast<std::size_t>(i)] = {table.find(left, hash), table.find(right),
                                          table.find(whole, PieceTable::hash(right, hash))};
    }

    int last = PieceTable::kNone, rank = 0;
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const Merge& merge = merges[i];
      const auto [left, right, id] = ids[i];
      if (left < 0 || right < 0 || id < 0) {
        fail_at(merge, " are not three pieces, with their union");
      }
      if (types[static_cast<std::size_t>(id)] == PieceType::byte) {
        fail_at(merge, " make a single byte");
      }
      if (!is_normal(id) || !is_normal(left) || !is_normal(right)) continue;

      const Places place = Places{1} << characters(merge.first);
      Places& places = joined[static_cast<std::size_t>(id)];
      if (places & place) fail_at(merge, " stand there twice");
      if (places == 0) {
        scores[static_cast<std::size_t>(id)] = static_cast<float>(-rank++);
      } else if (id != last && !is_run(pieces[static_cast<std::size_t>(id)])) {
        fail_at(merge, " do not stand beside the other merges of their union");
      }
      places |= place;
      last = id;
    }
  }

  // Bytes of the left one of two pieces that make this one and are no merge; 0 if there are none.
  std::size_t missing(std::size_t id) const {
    const std::string_view piece = pieces[id];
    std::uint64_t hash = PieceTable::hash("");
    std::size_t count = 0;
    for (std::size_t at = 0; at < piece.size(); ++count) {
      const bool is_merge = joined[id] >> count & 1;
      if (at > 0 && !is_merge && table.may_have(hash)) {
        const std::string_view rest = piece.substr(at);
        const std::uint64_t hash_of_rest = PieceTable::hash(rest);
        if (table.may_have(hash_of_rest)) {
          const int left = table.find(piece.substr(0, at), hash);
          const int right = table.find(rest, hash_of_rest);
          if (left >= 0 && right >= 0 && is_normal(left) && is_normal(right)) return at;
        }
      }
      const std::size_t length = utf8_length(piece.substr(at));
      hash = PieceTable::hash(piece.substr(at, length), hash);
      at += length;
    }
    return 0;
  }

  void check() const {
    const auto count = static_cast<std::ptrdiff_t>(pieces.size());
    std::ptrdiff_t first = count;
#pragma omp parallel for reduction(min : first)
    for (std::ptrdiff_t id = 0; id < count; ++id) {
      if (is_normal(static_cast<int>(id)) && missing(static_cast<std::size_t>(id)) > 0) {
        first = std::min(first, id);
      }
    }
    if (first == count) return;
    const std::string_view piece = pieces[static_cast<std::size_t>(first)];
    const std::size_t at = missing(static_cast<std::size_t>(first));
    fail_at({piece.substr(0, at), piece.substr(at)}, " are missing, though their union is a piece");
  }
};

}  // namespace

std::vector<float> merge_scores(const std::vector<std::string_view>& pieces,
                                const PieceTable& table, const std::vector<PieceType>& types,
                                const std::vector<Merge>& merges, const JsonFields& model) {
  constexpr std::size_t kMaxRank = 1 << 24;  // a float counts so far
  if (merges.size() > kMaxRank) model.fail("merges", "more than " + std::to_string(kMaxRank));
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    for (std::size_t at = 0; at < pieces[id].size();) {
      const std::size_t length = utf8_length(pieces[id].substr(at));
      if (length == 0) model.fail("vocab", quoted(pieces[id]) + " is not UTF-8");
      at += length;
    }
    if (types[id] == PieceType::normal && characters(pieces[id]) > kMaxCharacters) {
      model.fail("vocab", quoted(pieces[id].substr(0, 64)) + "... has more than " +
                              std::to_string(kMaxCharacters) + " characters");
    }
  }
  Scores all{pieces,
             table,
             types,
             model,
             std::vector<float>(pieces.size()),
             std::vector<Places>(pieces.size())};
  all.rank(merges);
  all.check();
  return all.scores;
}

}  // namespace paligemma
