#include "fast/tensor/residual_add.h"

#include "fast/core/rows.h"

namespace paligemma {

void residual_add(const Fast& on, View<const float, 2> branch, View<float, 2> x) {
  const Index T = x.size(0), D = x.size(1);
  PG_CHECK(branch.shape() == x.shape(), "branch " + shape_text(branch) + ", x " + shape_text(x));
  PG_CHECK(branch.stride()[1] == 1 && x.stride()[1] == 1, "rows must be contiguous");
  for_each_row(on, T, D, [&](Index t) {
    const float* const from = branch.row(t).data();
    float* const to = x.row(t).data();
    for_row(
        D, [&](Index d) { store(to + d, load<Lanes>(to + d) + load<Lanes>(from + d)); },
        [&](Index d) { to[d] += from[d]; });
  });
}

}  // namespace paligemma
