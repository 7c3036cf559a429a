// What a tokenizer.json says beside its pieces, merges and added tokens.
//
//   normalizer       every blank becomes U+2581
//   pre_tokenizer    none, or one that splits at blanks, of which none is left
//   post_processor   none, or one that puts <bos> and <eos> around a text: the prompt has its own
//   decoder          every U+2581 becomes a blank, and runs of single bytes become characters
//   model            BPE with byte_fallback, neither dropout nor ignore_merges, nothing added to words
//   truncation, padding   anything: transformers sets both anew for each text
//
// Those are every Gemma's. Whatever else stands there would change ids or text, and is refused by its name.
#pragma once

#include "tensor/json.h"

namespace paligemma {

// Throws ModelFileError.
void check_tokenizer_settings(const JsonFields& fields);

}  // namespace paligemma
