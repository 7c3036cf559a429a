#include "fast/gemma/rope.h"

#include "fast/core/rows.h"
#include "fast/gemma/rope_table.h"

namespace paligemma {

void rope(const Fast& on, Index first_position, float theta, View<float, 3> x) {
  const Index T = x.size(0), N = x.size(1), H = x.size(2), half = H / 2;
  PG_CHECK(H % 2 == 0, "x " + shape_text(x) + ": the head size must be even");
  PG_CHECK(first_position >= 0, "position " + std::to_string(first_position));
  PG_CHECK(x.stride()[2] == 1, "the numbers of a head must be contiguous");
  if (H == 0) return;
  const RopeTable& table = on.rope_table(theta, H, first_position + T);
  for_each_row(on, T, N * H, [&](Index t) {
    const float* const cos = table.cos(first_position + t);
    const float* const sin = table.sin(first_position + t);
    for (Index n = 0; n < N; ++n) {
      float* const lower = &x(t, n, 0);
      float* const upper = lower + half;
      const auto turn = [](auto& a, auto& b, auto c, auto s) {
        const auto turned = a * c - b * s;
        b = b * c + a * s;
        a = turned;
      };
      for_row(
          half,
          [&](Index j) {
            Lanes a = load<Lanes>(lower + j), b = load<Lanes>(upper + j);
            turn(a, b, load<Lanes>(cos + j), load<Lanes>(sin + j));
            store(lower + j, a);
            store(upper + j, b);
          },
          [&](Index j) { turn(lower[j], upper[j], cos[j], sin[j]); });
    }
  });
}

}  // namespace paligemma
