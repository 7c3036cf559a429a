#include "colpali/max_sim.h"

#include <algorithm>
#include <limits>

#include "tensor/buffer.h"
#include "tensor/dot.h"

namespace paligemma {
namespace {

// The row of the page that is most like a row of the query: the first of equals.
Index most_like(View<const float, 1> q, View<const float, 2> rows, Index begin, Index end) {
  Index found = begin;
  float best = -std::numeric_limits<float>::infinity();
  for (Index r = begin; r < end; ++r) {
    const float product = dot(q.data(), rows.row(r).data(), q.size(0));
    if (product > best) best = product, found = r;
  }
  return found;
}

void add(float factor, View<const float, 1> row, View<float, 1> sum) {
  for (Index i = 0; i < row.size(0); ++i) sum(i) += factor * row(i);
}

}  // namespace

template <class Row>
void max_sim(Reference, View<const float, 2> q, View<const Row, 2> rows, View<const Index, 1> first,
             View<float, 1> scores) {
  check_max_sim(q, rows, first, scores);
  const Index T = q.size(0), W = q.size(1);
  Buffer<float, 1> row({W}, unwritten), best({T}, unwritten);
  for (Index p = 0; p < scores.size(0); ++p) {
    for (Index t = 0; t < T; ++t) best.view()(t) = -std::numeric_limits<float>::infinity();
    for (Index r = first(p); r < first(p + 1); ++r) {
      for (Index i = 0; i < W; ++i) row.view()(i) = widen(rows(r, i));
      for (Index t = 0; t < T; ++t) {
        const float product = dot(q.row(t).data(), row.view().data(), W);
        best.view()(t) = std::max(best.view()(t), product);
      }
    }
    scores(p) = 0.0f;
    for (Index t = 0; t < T; ++t) scores(p) += best.view()(t);
  }
}

void max_sim_backward(Reference, View<const float, 2> q, View<const float, 2> rows,
                      View<const Index, 1> first, View<const float, 1> dscores, View<float, 2> dq,
                      View<float, 2> drows) {
  check_max_sim(q, rows, first, dscores);
  PG_CHECK(dq.shape() == q.shape() && drows.shape() == rows.shape(),
           "q " + shape_text(q) + ", dq " + shape_text(dq) + ", rows " + shape_text(rows) +
               ", drows " + shape_text(drows));
  for (Index p = 0; p < dscores.size(0); ++p) {
    for (Index t = 0; t < q.size(0); ++t) {
      const Index r = most_like(q.row(t), rows, first(p), first(p + 1));
      add(dscores(p), rows.row(r), dq.row(t));
      add(dscores(p), q.row(t), drows.row(r));
    }
  }
}

template void max_sim(Reference, View<const float, 2>, View<const float, 2>, View<const Index, 1>,
                      View<float, 1>);
template void max_sim(Reference, View<const float, 2>, View<const bf16, 2>, View<const Index, 1>,
                      View<float, 1>);
template void max_sim(Reference, View<const float, 2>, View<const f16, 2>, View<const Index, 1>,
                      View<float, 1>);

}  // namespace paligemma
