#include "gemma/token_embedding.h"

#include <cmath>

namespace paligemma {

template <class Table>
void token_embedding(Reference, View<const TokenId, 1> ids, View<const Table, 2> table,
                     View<float, 2> y) {
  const Index T = ids.size(0), V = table.size(0), D = table.size(1);
  PG_CHECK(y.size(0) == T && y.size(1) == D,
           "ids " + shape_text(ids) + ", table " + shape_text(table) + ", y " + shape_text(y));

  const float scale = std::sqrt(static_cast<float>(D));
  for (Index t = 0; t < T; ++t) {
    const Index id = ids(t);
    PG_CHECK(0 <= id && id < V, "id " + std::to_string(id) + " of " + std::to_string(V));
    for (Index d = 0; d < D; ++d) y(t, d) = scale * widen(table(id, d));
  }
}

template void token_embedding(Reference, View<const TokenId, 1>, View<const float, 2>,
                              View<float, 2>);
template void token_embedding(Reference, View<const TokenId, 1>, View<const bf16, 2>,
                              View<float, 2>);
template void token_embedding(Reference, View<const TokenId, 1>, View<const f16, 2>,
                              View<float, 2>);

}  // namespace paligemma
