// PieceTable: which id a piece has. Several times as fast as a map of strings, whose text is looked at for every
// question: half a million are asked while a tokenizer.json is read.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

namespace paligemma {

class PieceTable {
 public:
  // FNV-1a, which can be continued: hash("ab") is hash("b", hash("a")).
  static std::uint64_t hash(std::string_view text, std::uint64_t before = 0xcbf29ce484222325) {
    for (char c : text) before = (before ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return before;
  }

  // Borrows the pieces; an id is a place among them. Of equal ones the first is found.
  explicit PieceTable(const std::vector<std::string_view>& pieces)
      : pieces_(pieces), slots_(std::bit_ceil(pieces.size() + pieces.size() / 2 + 1)) {
    for (std::size_t id = 0; id < pieces.size(); ++id) {
      const std::uint64_t hashed = hash(pieces[id]);
      Slot& slot = slots_[place_of(pieces[id], hashed)];
      if (slot.id == kNone) slot = {check_of(hashed), static_cast<int>(id)};
    }
  }

  static constexpr int kNone = -1;
  int find(std::string_view piece) const { return find(piece, hash(piece)); }
  int find(std::string_view piece, std::uint64_t hashed) const {
    return slots_[place_of(piece, hashed)].id;
  }

  // False only if there is none; no text is looked at.
  bool may_have(std::uint64_t hashed) const {
    std::size_t at = first_place(hashed);
    while (slots_[at].id != kNone && slots_[at].check != check_of(hashed)) at = next_place(at);
    return slots_[at].id != kNone;
  }

 private:
  struct Slot {
    std::uint32_t check = 0;  // bits of the hash that do not choose the slot
    int id = kNone;
  };
  static std::uint32_t check_of(std::uint64_t hashed) {
    return static_cast<std::uint32_t>(hashed >> 32);
  }

  std::size_t first_place(std::uint64_t hashed) const {
    return (hashed ^ hashed >> 29) & (slots_.size() - 1);
  }
  std::size_t next_place(std::size_t at) const { return (at + 1) & (slots_.size() - 1); }

  // Where it is, or would be.
  std::size_t place_of(std::string_view piece, std::uint64_t hashed) const {
    std::size_t at = first_place(hashed);
    while (slots_[at].id != kNone && (slots_[at].check != check_of(hashed) ||
                                      pieces_[static_cast<std::size_t>(slots_[at].id)] != piece)) {
      at = next_place(at);
    }
    return at;
  }

  const std::vector<std::string_view>& pieces_;
  std::vector<Slot> slots_;  // a power of two
};

}  // namespace paligemma
