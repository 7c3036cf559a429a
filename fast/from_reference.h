// What Fast leaves to the reference, a line each. A profile says that none of them is 2 % of a token or of a
// picture (docs/fast.md); an operation that is neither here nor in a header beside this does not compile.
#pragma once

#include "fast/core/fast.h"
#include "gemma/kv_cache.h"
#include "gemma/prefix_lm_mask.h"
#include "gemma/token_embedding.h"
#include "siglip/position_embedding.h"
#include "tensor/multiply.h"
#include "tensor/softmax.h"
#include "tensor/unit_rows.h"
#include "zeta/patch_rows.h"
#include "zeta/rotary.h"
#include "zeta/sinusoid.h"

namespace paligemma {

// clang-format off
void dropout(const Fast&, const auto&... rest) { dropout(reference, rest...); }
void kv_cache_append(const Fast&, const auto&... rest) { kv_cache_append(reference, rest...); }
void multiply(const Fast&, const auto&... rest) { multiply(reference, rest...); }
void patch_rows(const Fast&, const auto&... rest) { patch_rows(reference, rest...); }
void position_embedding(const Fast&, const auto&... rest) { position_embedding(reference, rest...); }
void prefix_lm_mask(const Fast&, const auto&... rest) { prefix_lm_mask(reference, rest...); }
void rotary(const Fast&, const auto&... rest) { rotary(reference, rest...); }
void sinusoid(const Fast&, const auto&... rest) { sinusoid(reference, rest...); }
void softmax(const Fast&, const auto&... rest) { softmax(reference, rest...); }
void token_embedding(const Fast&, const auto&... rest) { token_embedding(reference, rest...); }
void unit_rows(const Fast&, const auto&... rest) { unit_rows(reference, rest...); }
// clang-format on

}  // namespace paligemma
