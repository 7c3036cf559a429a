// Attention on the CPU, fast. The contract is tensor/scaled_dot_product_attention.h's; nothing is rounded.
// Both of its products, of queries with keys and of weights with values, are made of the same tiles as
// linear's; a thread has all keys of some queries of one head.
#pragma once

#include "tensor/scaled_dot_product_attention.h"

namespace paligemma {

void scaled_dot_product_attention(Fast, View<const float, 3> q, View<const float, 3> k,
                                  View<const float, 3> v, View<const KeyRange, 1> visible,
                                  AttentionRule rule, View<float, 3> out);

}  // namespace paligemma
