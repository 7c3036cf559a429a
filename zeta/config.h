// Config: what the config.json of a PalmE or a Transformer says, expanded into plain shapes.
//
//   {"architectures": ["PalmE"],              or ["ZetaTransformer"], ["ViTransformerWrapper"]
//    "image_size": 48, "num_tokens": 8, ...   the constructor's arguments under their Python names
//    "attn_layers": {"type": "Decoder", "dim": 512, ...},   of all but PalmE
//    "numerics": "zeta",
//    "vocabulary": [".", "x", ...], "start_tokens": [7], "eos_token": 6}
//
// numerics says whose numbers hold where zeta 2.8.8 computes something else than the papers and later
// versions of its ancestor do: "zeta" (also where nothing is said), "defined", or one of the two for each
// field, as in {"turn_values": "defined"}:
//
//   field           zeta                                            defined
//   score_scale     1 / (10 H) with attn_flash and attn_qk_norm     10
//   turn_values     rotary turns and scales values                  it leaves them alone
//   norm_memories   memories enter attention as they are            normed, as x is
//   qk_norm         PalmE's has no effect                           queries and keys of length 1
//
// It is expanded here, once; no other code asks which it is. Every argument has a row on the page; what
// would change the result and is not supported, and what is no argument at all, is refused by name. Sizes
// are bounded, and the tensors must then have exactly the shapes that follow from them.
//
// Source: zetascale 2.8.8, zeta.models.palme and zeta.structs.transformer. Read next: zeta/weights.h.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gemma/token_embedding.h"  // TokenId
#include "zeta/shape.h"

namespace paligemma::zeta {

struct Config {
  std::variant<PalmEShape, TransformerShape, VisionShape> model;
  std::vector<std::string> vocabulary;  // the text of each token, or none: ids in, ids out
  std::vector<TokenId> start_tokens;    // what a text begins with if nothing is said
  std::optional<TokenId> eos_token;     // ends a text
  std::string json;                     // config.json as it was read, on one line
};

// Whether a config.json's architectures says one of those that stand above.
bool is_zeta_config(std::string_view text);

// `where` begins the message of the ModelFileError.
Config parse_config(std::string_view text, const std::string& where);

// From a model's folder. Throws NotFoundError if it has no config.json.
Config read_config(const std::filesystem::path& folder);

}  // namespace paligemma::zeta
