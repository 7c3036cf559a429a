#include "fast/gemma/soft_cap.h"

#include <algorithm>

#include "fast/core/kernels.h"
#include "fast/core/parallel.h"

namespace paligemma {

void soft_cap(const Fast& on, float cap, View<float, 2> x) {
  PG_CHECK(cap > 0 && x.is_row_major(), "cap " + std::to_string(cap) + ", x " + shape_text(x));
  constexpr Index kChunk = 4096;  // numbers that one thread takes at a time
  for_each(on, (x.count() + kChunk - 1) / kChunk, true, [&](Index i, int) {
    const Index begin = i * kChunk;
    on.kernels().logits.soft_cap(cap, x.data() + begin, std::min(kChunk, x.count() - begin));
  });
}

}  // namespace paligemma
