// The order in which a file has a tensor's numbers, where it is not ours.
#pragma once

#include <array>

#include "tensor/view.h"

namespace paligemma {

// With our axes seen as [A, B, C],
//
//   ours[a, b, c] = the file's number a * steps[0] + b * steps[1] + c * steps[2]
struct StoredOrder {
  std::array<Index, 3> sizes, steps;

  // Of our number i.
  Index place(Index i) const {
    const Index c = i % sizes[2], b = i / sizes[2] % sizes[1], a = i / sizes[2] / sizes[1];
    return a * steps[0] + b * steps[1] + c * steps[2];
  }
};

}  // namespace paligemma
