#include "processing/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <map>
#include <set>

#include "processing/merge_scores.h"
#include "processing/sentencepiece_model.h"
#include "processing/tokenizer_settings.h"
#include "tensor/json_reader.h"
#include "tensor/utf8.h"

namespace paligemma {
namespace {

// What is long is read as it comes; the rest is a JSON text of its own.
struct Parts {
  JsonReader json;
  std::vector<std::pair<std::string_view, int>> vocab;
  std::vector<Merge> merges;
  std::string rest;
};

void read_vocab(Parts& parts) {
  parts.json.enter('{');
  while (const auto piece = parts.json.next_name()) {
    parts.vocab.emplace_back(*piece, parts.json.whole());
  }
}

// ["▁", "red"], or "▁ red" as it was written before.
Merge read_merge(JsonReader& json) {
  if (json.next() == '"') {
    const std::string_view both = json.text();
    const auto blank = both.find(' ');
    if (blank == both.npos) return {both, ""};
    return {both.substr(0, blank), both.substr(blank + 1)};
  }
  std::array<std::string_view, 2> sides;
  std::size_t count = 0;
  json.enter('[');
  for (; json.next_item(); ++count) sides[std::min<std::size_t>(count, 1)] = json.text();
  return count == 2 ? Merge(sides[0], sides[1]) : Merge();
}

void read_merges(Parts& parts) {
  parts.json.enter('[');
  while (parts.json.next_item()) parts.merges.push_back(read_merge(parts.json));
}

void read_object(Parts& parts, bool is_model) {
  parts.json.enter('{');
  parts.rest += "{";
  bool first = true;
  while (const auto name = parts.json.next_name()) {
    const char begin = parts.json.next();
    if (is_model && *name == "vocab" && begin == '{') {
      read_vocab(parts);
      continue;
    }
    if (is_model && *name == "merges" && begin == '[') {
      read_merges(parts);
      continue;
    }
    parts.rest += (first ? "" : ",") + Json(*name).text() + ":";
    first = false;
    if (!is_model && *name == "model" && begin == '{') {
      read_object(parts, true);
    } else {
      parts.rest += parts.json.raw();
    }
  }
  parts.rest += "}";
}

bool is_numbered(const std::string& text) {
  return text.starts_with("<loc") || text.starts_with("<seg");
}

// The library takes a NUL for the end.
std::string_view without_nul(std::string_view text, const JsonFields& of, const char* field) {
  if (text.find('\0') != text.npos)
    of.fail(field, printable(text) + " has a NUL, which is not supported");
  return text;
}

// All pieces by id, and what becomes of them.
class Builder {
 public:
  Builder(Parts parts, const JsonFields& fields, TokenId image_token)
      : parts_(std::move(parts)),
        model_(fields.object("model")),
        image_(image_token),
        pieces_(placed()),
        table_(pieces_),
        types_(pieces_.size(), PieceType::normal) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      char piece[8];
      std::snprintf(piece, sizeof piece, "<0x%02X>", byte);
      types_[id_of(piece)] = PieceType::byte;
    }
    types_[id_of("<unk>")] = PieceType::unknown;
    for (const char* control : {"<bos>", "<eos>", "<pad>"}) {
      types_[id_of(control)] = PieceType::control;
    }
  }

  void add(const JsonFields& token) {
    const std::string text = token.text("content");
    if (text.empty()) return;
    without_nul(text, token, "content");
    for (const char* name : {"single_word", "lstrip", "rstrip"}) token.refuse_unless(name, false);

    const TokenId id = static_cast<TokenId>(token.whole("id", std::numeric_limits<TokenId>::max()));
    const TokenId known = table_.find(text);
    const TokenId read_as = known >= 0 ? known : static_cast<TokenId>(types_.size());
    if (id != read_as) {
      token.fail("id", printable(text) + " is " + std::to_string(id) +
                           ", and transformers would read " + std::to_string(read_as));
    }
    if (text == "<image>" && image_ != kNoToken && id != image_) {
      token.fail("id", "<image> is " + std::to_string(id) + ", config.json says " +
                           std::to_string(image_));
    }
    if (known < 0) types_.push_back(PieceType::normal);

    const bool normalized = token.flag("normalized", true), special = token.flag("special", false);
    const bool has_blank = text.find(kBlank) != text.npos;
    PieceType& type = types_[static_cast<std::size_t>(id)];
    if (type == PieceType::byte) token.fail("content", text + " is a single byte");
    if (!normalized) typed_.push_back({text, id});
    if (type != PieceType::normal) return;  // <bos>
    const bool is_silent = special && !is_numbered(text);
    if (is_silent) silent_.insert(id);
    if (is_silent && !normalized) {
      type = PieceType::control;
      written_[id] = text;
    } else if (normalized || !has_blank) {
      type = PieceType::user_defined;
      written_[id] = normalized ? replaced(text, " ", kBlank) : text;
    } else if (known < 0) {
      token.fail("normalized", "false is not supported of a token with U+2581 that vocab has not");
    }
  }

  TokenizerJson build() {
    const std::vector<float> scores = merge_scores(pieces_, table_, types_, parts_.merges, model_);
    // The row of <image> is never looked up, so it may be the one behind the table's last.
    std::size_t size = types_.size();
    if (size > pieces_.size() && written_[static_cast<TokenId>(size) - 1] == "<image>") --size;

    std::string model = model_without_pieces();
    for (std::size_t id = 0; id < size; ++id) {
      const auto written = written_.find(static_cast<TokenId>(id));
      append_piece(model, written != written_.end() ? written->second : pieces_[id], types_[id],
                   id < scores.size() ? scores[id] : 0);
    }
    return {std::move(model), std::move(typed_), std::move(silent_)};
  }

 private:
  std::vector<std::string_view> placed() const {
    std::vector<std::string_view> pieces(parts_.vocab.size());
    for (const auto& [piece, id] : parts_.vocab) {
      const auto fail = [&, number = id](const std::string& problem) {
        model_.fail("vocab", "the id " + std::to_string(number) + problem);
      };
      const auto place = static_cast<std::size_t>(id);
      if (place >= pieces.size()) {
        fail(" is past the number of pieces, " + std::to_string(pieces.size()));
      }
      if (!pieces[place].empty()) fail(" is there twice");
      if (piece.empty()) fail(" is an empty piece's");
      pieces[place] = without_nul(piece, model_, "vocab");
    }
    return pieces;
  }

  std::size_t id_of(const std::string& piece) const {
    const TokenId id = table_.find(piece);
    if (id < 0) model_.fail("vocab", "has no " + piece);
    return static_cast<std::size_t>(id);
  }

  Parts parts_;
  const JsonFields model_;
  TokenId image_;
  std::vector<std::string_view> pieces_;  // of the vocabulary
  PieceTable table_;
  std::vector<PieceType> types_;  // of the added ones behind them too
  std::map<TokenId, std::string> written_;
  std::vector<AddedToken> typed_;
  std::set<TokenId> silent_;
};

}  // namespace

TokenizerJson parse_tokenizer_json(std::string_view text, const std::string& where,
                                   TokenId image_token) {
  Parts parts{JsonReader(text, where), {}, {}, ""};
  read_object(parts, false);
  parts.json.expect_end();
  const JsonFields fields(parts.rest, where);
  check_tokenizer_settings(fields);
  Builder builder(std::move(parts), fields, image_token);
  for (const JsonFields& token : fields.objects("added_tokens")) builder.add(token);
  return builder.build();
}

std::vector<AddedToken> added_tokens_of(std::string_view text, const std::string& where) {
  JsonReader json(text, where);
  json.enter('{');
  std::vector<AddedToken> tokens;
  while (const auto name = json.next_name()) {
    const std::string_view value = json.raw();
    if (*name != "added_tokens") continue;
    const JsonFields fields("{\"added_tokens\":" + std::string(value) + "}", where);
    for (const JsonFields& token : fields.objects("added_tokens")) {
      constexpr Index kMax = std::numeric_limits<TokenId>::max();
      tokens.push_back({token.text("content"), static_cast<TokenId>(token.whole("id", kMax))});
    }
    break;
  }
  return tokens;
}

}  // namespace paligemma
