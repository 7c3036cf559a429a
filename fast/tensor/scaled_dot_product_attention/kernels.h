// The kernels of this folder, one file for each instruction set. Shapes have been checked.
#pragma once

#include "tensor/scaled_dot_product_attention.h"

namespace paligemma {

struct AttentionWork {
  View<const float, 3> q, k, v;
  View<const KeyRange, 1> visible;  // empty: all keys
  AttentionRule rule;
  View<float, 3> out;
};

void attention_portable(const AttentionWork& work);
void attention_avx2(const AttentionWork& work);
void attention_avx512(const AttentionWork& work);

}  // namespace paligemma
