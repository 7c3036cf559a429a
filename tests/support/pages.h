// Pages and queries of ColPali: rows of length 1, and where each page begins.
#pragma once

#include <algorithm>
#include <initializer_list>

#include "tensor/unit_rows.h"
#include "tests/support/data.h"

namespace paligemma::test {

template <class Row>
Buffer<Row, 2> unit_rows_of(Index R, Index W, unsigned seed) {
  auto numbers = random<float, 2>({R, W}, seed);
  unit_rows<float>(reference, numbers.view(), {}, {}, numbers.view());
  Buffer<Row, 2> rows({R, W});
  std::transform(numbers.view().data(), numbers.view().data() + R * W, rows.view().data(),
                 narrow<Row>);
  return rows;
}

inline Buffer<Index, 1> places_of(std::initializer_list<Index> first) {
  Buffer<Index, 1> places({static_cast<Index>(first.size())});
  std::copy(first.begin(), first.end(), places.view().data());
  return places;
}

}  // namespace paligemma::test
