#include "tensor/scaled_dot_product_attention.h"

#include <omp.h>

#include <algorithm>

#include "tensor/buffer.h"
#include "tensor/dot.h"
#include "tensor/softmax.h"

namespace paligemma {

void check_attention(View<const float, 3> q, View<const float, 3> k, View<const float, 3> v,
                     View<const KeyRange, 1> visible, View<const float, 3> out) {
  const Index T = q.size(0), N = q.size(1), H = q.size(2), S = k.size(0), K = k.size(1);
  const std::string shapes = "q " + shape_text(q) + ", k " + shape_text(k) + ", v " + shape_text(v);
  PG_CHECK(k.size(2) == H && v.shape() == k.shape(), shapes);
  PG_CHECK(K > 0 && N % K == 0, shapes + ": each KV head serves the same number of query heads");
  PG_CHECK(out.shape() == q.shape(), shapes + ", out " + shape_text(out));
  PG_CHECK(q.stride()[2] == 1 && k.stride()[2] == 1 && out.stride()[2] == 1,
           shapes + ": the numbers of a head must be contiguous");
  PG_CHECK(visible.size(0) == 0 || visible.size(0) == T,
           shapes + ", visible " + shape_text(visible));
  for (Index t = 0; t < visible.size(0); ++t) {
    const KeyRange keys = visible(t);
    PG_CHECK(0 <= keys.begin && keys.begin < keys.end && keys.end <= S,
             "query " + std::to_string(t) + " sees keys " + std::to_string(keys.begin) + " to " +
                 std::to_string(keys.end) + " of " + std::to_string(S));
  }
  PG_CHECK(T == 0 || S > 0, shapes + ": there must be a key to see");
}

void scaled_dot_product_attention(Reference, View<const float, 3> q, View<const float, 3> k,
                                  View<const float, 3> v, View<const KeyRange, 1> visible,
                                  AttentionRule rule, View<float, 3> out) {
  check_attention(q, k, v, visible, out);
  const Index T = q.size(0), N = q.size(1), H = q.size(2), S = k.size(0), K = k.size(1);
  const auto keys_of = [=](Index t) { return visible.size(0) > 0 ? visible(t) : KeyRange{0, S}; };

  // One for each thread, as in linear.cpp.
  Buffer<float, 2> rows({omp_get_max_threads(), S}, unwritten);
#pragma omp parallel for collapse(2)
  for (Index n = 0; n < N; ++n) {
    for (Index t = 0; t < T; ++t) {
      float* row = rows.view().row(omp_get_thread_num()).data();
      const Index g = kv_head_of(n, N, K);
      const KeyRange keys = keys_of(t);

      // The scores of this query against every key it may see.
      for (Index s = keys.begin; s < keys.end; ++s) {
        float score = rule.scale * dot(&q(t, n, 0), &k(s, g, 0), H);
        if (rule.soft_cap != kNoSoftCap) score = soft_capped(score, rule.soft_cap);
        row[s] = score;
      }
      const View<float, 2> scores(&row[keys.begin], {1, keys.end - keys.begin});
      softmax(reference, scores, scores);

      // The mean of the values, weighted by them.
      std::fill_n(&out(t, n, 0), H, 0.0f);
      for (Index s = keys.begin; s < keys.end; ++s) {
        for (Index h = 0; h < H; ++h) out(t, n, h) += row[s] * v(s, g, h);
      }
    }
  }
}

}  // namespace paligemma
