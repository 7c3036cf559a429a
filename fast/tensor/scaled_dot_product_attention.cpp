#include "fast/tensor/scaled_dot_product_attention.h"

#include "fast/core/processor.h"
#include "fast/tensor/scaled_dot_product_attention/kernels.h"

namespace paligemma {

void scaled_dot_product_attention(Fast, View<const float, 3> q, View<const float, 3> k,
                                  View<const float, 3> v, View<const KeyRange, 1> visible,
                                  AttentionRule rule, View<float, 3> out) {
  check_attention(q, k, v, visible, out);
  PG_CHECK(v.stride()[2] == 1, "the numbers of a head must be contiguous");
  const AttentionWork work{q, k, v, visible, rule, out};
  switch (instruction_set()) {
#if defined(__x86_64__)
    case InstructionSet::avx512:
      return attention_avx512(work);
    case InstructionSet::avx2:
      return attention_avx2(work);
#endif
    default:
      return attention_portable(work);
  }
}

}  // namespace paligemma
