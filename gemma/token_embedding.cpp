#include "gemma/token_embedding.h"

namespace paligemma {

namespace {

// How long a row of D numbers is.
template <class Real>
Index row_length(View<const Real, 2>, Index D) {
  return D;
}
template <Quantized Block>
Index row_length(View<const Block, 2>, Index D) {
  return blocks_of(D);
}

// One row of the table, times the scale.
template <class Real>
void write_row(View<const Real, 1> row, float scale, View<float, 1> y) {
  for (Index d = 0; d < y.size(0); ++d) y(d) = scale * widen(row(d));
}
template <Quantized Block>
void write_row(View<const Block, 1> row, float scale, View<float, 1> y) {
  float weights[kBlock];
  for (Index d = 0; d < y.size(0); ++d) {
    if (d % kBlock == 0) dequantize(row(d / kBlock), weights);
    y(d) = scale * weights[d % kBlock];
  }
}

}  // namespace

template <class Table>
void token_embedding(Reference, View<const TokenId, 1> ids, View<const Table, 2> table, float scale,
                     View<float, 2> y) {
  const Index T = ids.size(0), V = table.size(0), D = y.size(1);
  PG_CHECK(y.size(0) == T && table.size(1) == row_length(table, D),
           "ids " + shape_text(ids) + ", table " + shape_text(table) + ", y " + shape_text(y));

  for (Index t = 0; t < T; ++t) {
    const Index id = ids(t);
    PG_CHECK(0 <= id && id < V, "id " + std::to_string(id) + " of " + std::to_string(V));
    write_row(table.row(id), scale, y.row(t));
  }
}

template void token_embedding(Reference, View<const TokenId, 1>, View<const float, 2>, float,
                              View<float, 2>);
template void token_embedding(Reference, View<const TokenId, 1>, View<const bf16, 2>, float,
                              View<float, 2>);
template void token_embedding(Reference, View<const TokenId, 1>, View<const f16, 2>, float,
                              View<float, 2>);
template void token_embedding(Reference, View<const TokenId, 1>, View<const Int8Block, 2>, float,
                              View<float, 2>);
template void token_embedding(Reference, View<const TokenId, 1>, View<const Int4Block, 2>, float,
                              View<float, 2>);

void token_embedding_backward(Reference, View<const TokenId, 1> ids, float scale,
                              View<const float, 2> dy, View<float, 2> dtable) {
  const Index T = ids.size(0), V = dtable.size(0), D = dtable.size(1);
  PG_CHECK(dy.size(0) == T && dy.size(1) == D,
           "ids " + shape_text(ids) + ", dy " + shape_text(dy) + ", dtable " + shape_text(dtable));
  for (Index t = 0; t < T; ++t) {
    const Index id = ids(t);
    PG_CHECK(0 <= id && id < V, "id " + std::to_string(id) + " of " + std::to_string(V));
    for (Index d = 0; d < D; ++d) dtable(id, d) += scale * dy(t, d);
  }
}

}  // namespace paligemma
