// Any bytes as tokenizer.json: refused, or a model that the SentencePiece library loads, or refuses itself.
#include <sentencepiece_processor.h>

#include <cstdint>
#include <string_view>

#include "processing/tokenizer_json.h"
#include "tensor/errors.h"
#include "tests/fuzz/require.h"

using namespace paligemma;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr TokenId kImage = 272;
  try {
    added_tokens_of(text, "tokenizer.json");
  } catch (const ModelFileError&) {
  }
  try {
    const TokenizerJson json = parse_tokenizer_json(text, "tokenizer.json", kImage);
    sentencepiece::SentencePieceProcessor processor;
    if (!processor.LoadFromSerializedProto({json.model.data(), json.model.size()}).ok()) return 0;
    for (const AddedToken& token : json.typed) {
      require(token.id >= 0 && !token.text.empty());
      require(token.id < processor.GetPieceSize() || token.text == "<image>");
    }
    std::vector<int> ids;
    require(processor.Encode("a red  car\n<car>\xc3\xa9", &ids).ok());
    for (int id : ids) require(0 <= id && id < processor.GetPieceSize());
    std::string back;
    require(processor.Decode(ids, &back).ok());
  } catch (const ModelFileError&) {
  }
  return 0;
}
