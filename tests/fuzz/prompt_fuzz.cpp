// Any bytes as a prompt, and as an answer that boxes are looked for in.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "processing/detections.h"
#include "processing/prompt.h"
#include "tensor/errors.h"
#include "tests/fuzz/require.h"
#include "tests/support/source_dir.h"

using namespace paligemma;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr TokenId kImage = 1790, kRows = 1856;
  static const Tokenizer tokenizer(test::source_dir() + "/tests/golden/paligemma1/tokenizer.model",
                                   kImage, kRows);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const Detection& found : parse_detections(text)) {
    const auto [y_min, x_min, y_max, x_max] = found.bins;
    require(0 <= y_min && y_min < y_max && y_max <= 1023);
    require(0 <= x_min && x_min < x_max && x_max <= 1023);
    require(found.mask.empty() || found.mask.size() == 16);
    for (int code : found.mask) require(0 <= code && code <= 127);
  }
  try {
    const int pictures = 1 + static_cast<int>(size % 3);
    const Prompt prompt = make_prompt(tokenizer, text, 4, pictures);
    require(std::ranges::count(prompt.ids, kImage) == 4 * pictures);
    require(*std::find(prompt.ids.rbegin(), prompt.ids.rend(), kImage).base() == tokenizer.bos());
    require(prompt.ids.back() == tokenizer.newline());
    for (TokenId id : prompt.ids) require(0 <= id && id < kRows);
    require(!prompt_text(tokenizer, prompt.ids).empty());
    parse_detections(tokenizer.decode(prompt.ids));
  } catch (const PromptError&) {
  }
  return 0;
}
