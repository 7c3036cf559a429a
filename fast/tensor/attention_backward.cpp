#include "fast/core/kernels.h"
#include "fast/core/rows.h"
#include "fast/tensor/scaled_dot_product_attention.h"
#include "tensor/buffer.h"

namespace paligemma {

void scaled_dot_product_attention_backward(const Fast& on, const AttentionForward& forward,
                                           View<const float, 3> dout, AttentionGradients d) {
  const auto& [q, k, v, visible, rule, out, log_sum_exp] = forward;
  const auto are_stretches = [](const auto&... views) { return (views.is_row_major() && ...); };
  const bool sees_a_stretch = visible.size(0) == 0 || visible.is_row_major();
  if (rule.dropout.rate > 0 || !sees_a_stretch ||
      !are_stretches(q, k, v, out, log_sum_exp, dout, d.q, d.k, d.v)) {
    return scaled_dot_product_attention_backward(reference, forward, dout, d);
  }
  check_attention_backward(forward, dout, d);
  const Index T = q.size(0), N = q.size(1), H = q.size(2), S = k.size(0), K = k.size(1);
  Buffer<float, 3> dk({N, S, H}), dv({N, S, H});
  on.kernels().attention_backward(
      on, {q.data(), k.data(), v.data(), out.data(), dout.data(),
           visible.size(0) > 0 ? visible.data() : nullptr, log_sum_exp.data(), d.q.data(),
           dk.view().data(), dv.view().data(), rule, T, N, H, S, K});
  for_each_row(on, S, 2 * N * H, [&](Index s) {
    for (Index n = 0; n < N; ++n) {
      const Index g = kv_head_of(n, N, K);
      for (Index h = 0; h < H; ++h) {
        d.k(s, g, h) += dk.view()(n, s, h);
        d.v(s, g, h) += dv.view()(n, s, h);
      }
    }
  });
}

}  // namespace paligemma
