#include "gemma/repeat_kv.h"

namespace paligemma {

void repeat_kv(Reference, View<const float, 3> x, View<float, 3> y) {
  const Index S = x.size(0), K = x.size(1), H = x.size(2), N = y.size(1);
  PG_CHECK(y.size(0) == S && y.size(2) == H, "x " + shape_text(x) + ", y " + shape_text(y));
  PG_CHECK(K > 0 && N % K == 0, "x " + shape_text(x) + ", y " + shape_text(y));

  for (Index s = 0; s < S; ++s) {
    for (Index n = 0; n < N; ++n) {
      for (Index h = 0; h < H; ++h) y(s, n, h) = x(s, kv_head_of(n, N, K), h);
    }
  }
}

}  // namespace paligemma
