#include "fast/gemma/soft_cap.h"

#include <algorithm>

#include "fast/core/kernels.h"

namespace paligemma {

void soft_cap(Fast, float cap, View<float, 2> x) {
  PG_CHECK(cap > 0 && x.is_row_major(), "cap " + std::to_string(cap) + ", x " + shape_text(x));
  constexpr Index kChunk = 4096;  // numbers that one thread takes at a time
#pragma omp parallel for if (x.count() > kChunk)
  for (Index i = 0; i < x.count(); i += kChunk) {
    kernels().logits.soft_cap(cap, x.data() + i, std::min(kChunk, x.count() - i));
  }
}

}  // namespace paligemma
