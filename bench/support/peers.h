// The yardsticks of products on the CPU: OpenBLAS and oneDNN, where they are installed.
#pragma once

namespace paligemma::bench {

// Adds `piece`/openblas/f32 and `piece`/onednn/f32 (and /bf16, where oneDNN has it for this processor):
// y = x Wᵀ for x [T, I] and W [O, I].
void add_product_yardsticks(const char* piece);

}  // namespace paligemma::bench
