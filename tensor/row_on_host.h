// A row that an executor has computed, on the host: for what every executor leaves to the same code.
#pragma once

#include <algorithm>

#include "tensor/buffer.h"

namespace paligemma {

// Row t of rows [T, D].
template <class On, class Rows>
Buffer<float, 1> row_on_host(const On& on, const Rows& rows, Index t) {
  if constexpr (OnHost<On>) {
    Buffer<float, 1> row({rows.size(1)}, unwritten);
    std::copy_n(rows.row(t).data(), rows.size(1), row.view().data());
    return row;
  } else {
    return to_host(on, rows.row(t));
  }
}

}  // namespace paligemma
