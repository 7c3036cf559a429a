#include "gemma/kv_cache.h"

namespace paligemma {

void kv_cache_append(Reference, View<const float, 3> rows, Index position, View<float, 3> cache) {
  const Index T = rows.size(0), K = rows.size(1), H = rows.size(2);
  PG_CHECK(cache.size(1) == K && cache.size(2) == H,
           "rows " + shape_text(rows) + ", cache " + shape_text(cache));
  PG_CHECK(0 <= position && position + T <= cache.size(0), "rows " + shape_text(rows) + " at " +
                                                               std::to_string(position) +
                                                               ", cache " + shape_text(cache));

  for (Index t = 0; t < T; ++t) {
    for (Index k = 0; k < K; ++k) {
      for (Index h = 0; h < H; ++h) cache(position + t, k, h) = rows(t, k, h);
    }
  }
}

}  // namespace paligemma
