// MaxSim: each row of a query finds the row of a page that is most like it; the page's score is their sum.
//
//   scores[p] = sum_t max_r  q[t] . rows[r]        r = first[p] ... first[p+1] - 1
//
//   q       [T, W]   rows of length 1, one a token of the query
//   rows    [R, W]   the pages' rows, one page behind the other, as they are stored
//   first   [P + 1]  where each page begins, and where the last one ends; a page has a row
//   scores  [P]
//
// Every row of the query counts, and no page is padded: its score does not depend on the pages beside it.
//
// Paper: Khattab & Zaharia 2020, "ColBERT", equation 3; Faysse et al. 2024, "ColPali", equation 1.
//
// Read next: colpali/match_map.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

// Row is float, bf16 or f16.
template <class Row>
void max_sim(Reference, View<const float, 2> q, View<const Row, 2> rows, View<const Index, 1> first,
             View<float, 1> scores);

// Backward. Of the page's rows only the one that was found gets a gradient, the first of equals; r(p,t) is its
// index:
//
//   dq[t]           += sum_p dscores[p] rows[r(p,t)]
//   drows[r(p,t)]   += dscores[p] q[t]
void max_sim_backward(Reference, View<const float, 2> q, View<const float, 2> rows,
                      View<const Index, 1> first, View<const float, 1> dscores, View<float, 2> dq,
                      View<float, 2> drows);

// What each version checks.
template <class Q, class Rows, class Scores>
void check_max_sim(const Q& q, const Rows& rows, View<const Index, 1> first, const Scores& scores) {
  const Index P = scores.size(0);
  PG_CHECK(rows.size(1) == q.size(1) && first.size(0) == P + 1,
           "q " + shape_text(q) + ", rows " + shape_text(rows) + ", first " + shape_text(first) +
               ", scores " + shape_text(scores));
  PG_CHECK(q.stride()[1] == 1 && rows.stride()[1] == 1 && first.stride()[0] == 1,
           "rows must be contiguous");
  PG_CHECK(first(0) >= 0 && first(P) <= rows.size(0), "pages from row " + std::to_string(first(0)) +
                                                          " to " + std::to_string(first(P)) +
                                                          " of rows " + shape_text(rows));
  for (Index p = 0; p < P; ++p) {
    PG_CHECK(first(p) < first(p + 1), "page " + std::to_string(p) + " has no row");
  }
}

}  // namespace paligemma
