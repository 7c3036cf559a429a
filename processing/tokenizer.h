// Tokenizer: text to token ids and back, by a checkpoint's own SentencePiece model.
//
//   "detect cat"  ->  [8682, 4401]            "<loc0051>"  ->  [256051], whole in both directions
//
// The work is the sentencepiece library's, which is given the checkpoint's tokenizer.model, or a model that says
// what its tokenizer.json does (processing/tokenizer_json.h). Two things are added, as Hugging Face does: the
// image token, which tokenizer.model has not and whose id config.json gives, and control tokens, which are
// recognised when they are typed out ("<bos>"). Everything the model must agree on with the checkpoint is
// checked on loading: the 1024 location and 128 segmentation tokens are there, in order, and no id is beyond the
// table's rows. Of another model than PaliGemma only the latter is asked.
//
// Paper: Kudo & Richardson 2018, "SentencePiece"; Beyer et al. 2024, "PaliGemma", sections 3.1 and
// 5.3. Read next: processing/detections.h.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace paligemma {

using TokenId = int;
inline constexpr TokenId kNoToken = -1;

inline constexpr int kLocTokens = 1024;
inline constexpr int kSegTokens = 128;

class Tokenizer {
 public:
  // `path` is a checkpoint's folder, or a tokenizer.model or tokenizer.json; `rows` the height of the embedding
  // table. Throws NotFoundError or ModelFileError.
  Tokenizer(const std::filesystem::path& path, TokenId image_token, TokenId rows);
  // Of another model than PaliGemma: without tokens that have a name here.
  Tokenizer(const std::filesystem::path& path, TokenId rows);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // Throws PromptError if the text is not UTF-8.
  std::vector<TokenId> encode(std::string_view text) const;
  std::string decode(std::span<const TokenId> ids) const;  // without control tokens
  std::string piece(TokenId id) const;                     // "▁red", "<loc0051>", "<eos>"

  const std::string& note() const;  // one line for the user, or "": which file was not read

  TokenId bos() const { return bos_; }
  TokenId eos() const { return eos_; }
  TokenId newline() const { return newline_; }  // ends every prompt
  TokenId image() const { return image_; }
  std::optional<int> loc(TokenId id) const;  // 51 for <loc0051>
  std::optional<int> seg(TokenId id) const;  // 7 for <seg007>

 private:
  friend class DecodeStream;
  struct Library;

  void find_typed_tokens();

  std::unique_ptr<Library> library_;
  TokenId bos_ = kNoToken, eos_ = kNoToken, newline_ = kNoToken, image_ = kNoToken;
  std::optional<TokenId> first_loc_, first_seg_;
};

// The text of an answer while it is being written. What step() and finish() return, joined, is what
// decode() makes of all ids; a step takes as long at the end of an answer as at its beginning.
//
//   203, 177, 561  ->  "", "é", "b"           203, 561  ->  "", "\uFFFDb"
class DecodeStream {
 public:
  explicit DecodeStream(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  std::string step(TokenId id);  // the text that no later token can change
  std::string finish();          // bytes that no character came of, a U+FFFD for each

 private:
  std::string take_characters(bool all);

  const Tokenizer& tokenizer_;
  std::vector<TokenId> start_;  // the tokens before the first text: they may take a blank from it
  bool has_text_ = false;
  std::string bytes_;  // the beginning of a character
};

}  // namespace paligemma
