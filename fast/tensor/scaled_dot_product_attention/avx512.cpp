#include "fast/tensor/scaled_dot_product_attention/kernel.h"

namespace paligemma {

void attention_avx512(const AttentionWork& work) { attend(work); }

}  // namespace paligemma
