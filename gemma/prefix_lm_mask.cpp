#include "gemma/prefix_lm_mask.h"

namespace paligemma {

void prefix_lm_mask(Reference, Index first_query, Index prefix, Index window,
                    View<KeyRange, 1> visible) {
  PG_CHECK(first_query >= 0 && window > 0, "a window holds at least the query itself");
  for (Index t = 0; t < visible.size(0); ++t) {
    visible(t) = visible_keys(first_query + t, prefix, window);
  }
}

}  // namespace paligemma
