// A decoder block for one token on the GPU, whose position stands in device memory, so that a graph
// can record it once for every token. What it computes is gemma/decoder_block.h's; nothing is rounded
// that the reference does not round, whatever stream.math() says.
//
//   1  norm_qkv_rope_append            q, and a row of the cache, from x
//   2  scaled_dot_product_attention    mixed, from q and the cache
//   3  linear, adding                  x += the product with `out`
//   4  norm_gate_up_geglu              gated, from x
//   5  linear, adding                  x += the product with `down`
//
// Gemma 2's norms behind a branch need its whole row before anything can be added: three kernels
// (linear, rms_norm, residual_add) stand where Gemma 1 has one.
#pragma once

#include "cuda/core/device_buffer.h"
#include "cuda/core/device_weights.h"
#include "cuda/gemma/rms_norm.h"
#include "cuda/tensor/linear.h"
#include "cuda/tensor/residual_add.h"
#include "cuda/tensor/scaled_dot_product_attention.h"
#include "gemma/decoder_block.h"

namespace paligemma::cuda {

// The product of rms_norm(x) with three matrices, RoPE, and kv_cache_append. Weight is float, bf16 or
// f16. A position that the cache does not have is not written.
//
//   x             [1, D]
//   scale         [D]
//   wq            [N * H, D]
//   wk, wv        [K * H, D]
//   position      [1]
//   q             [1, N * H]
//   keys, values  [capacity, K, H]
template <class Weight>
void norm_qkv_rope_append(const Stream& stream, DeviceView<const float, 2> x,
                          DeviceView<const Weight, 1> scale, RmsNormRule rule,
                          DeviceView<const Weight, 2> wq, DeviceView<const Weight, 2> wk,
                          DeviceView<const Weight, 2> wv, float theta,
                          DeviceView<const Index, 1> position, DeviceView<float, 2> q,
                          DeviceView<float, 3> keys, DeviceView<float, 3> values);

// The product of rms_norm(x) with two matrices, and geglu.
//
//   x         [1, D]
//   scale     [D]
//   gate, up  [F, D]
//   y         [1, F]
template <class Weight>
void norm_gate_up_geglu(const Stream& stream, DeviceView<const float, 2> x,
                        DeviceView<const Weight, 1> scale, RmsNormRule rule,
                        DeviceView<const Weight, 2> gate, DeviceView<const Weight, 2> up,
                        GeluForm form, DeviceView<float, 2> y);

// One token of a sequence. What changes from one to the next is in device memory: the range is that of
// prefix_lm_mask at `position` with the layer's window; layers of the same window may share it.
struct DecodeStep {
  SequenceId sequence;
  DeviceView<const Index, 1> position;    // of one
  DeviceView<const KeyRange, 1> visible;  // of one
};

// Row 0 of s.x becomes what the block makes of it; keys and values go to `position` of the cache.
template <class Real>
void decode_block(const Stream& stream, const gemma::DecoderBlockWeights<DeviceWeights<Real>>& w,
                  const gemma::DecoderShape& shape, Index layer, const DecodeStep& step,
                  gemma::DecoderScratch<Stream>& s, KvCache<Stream>& cache) {
  const auto row = [](auto& buffer) { return buffer.view().rows(0, 1); };
  const auto heads = [&](auto& buffer) {
    return row(buffer).template reshaped<3>({1, shape.heads, shape.head_size});
  };
  const auto x = row(s.x), branch = row(s.branch);
  const RmsNormRule rule{shape.norm_eps, shape.norm_offset};
  const auto add_product = [&](DeviceView<const float, 2> from, const auto& weights,
                               auto post_norm) {
    if (shape.norms == gemma::Norms::pre) return linear(stream, from, weights, x, {.add = true});
    linear(stream, from, weights, branch);
    rms_norm(stream, branch, post_norm, rule, branch);
    residual_add(stream, branch, x);
  };

  const auto keys = cache.keys(step.sequence, layer);
  const auto values = cache.values(step.sequence, layer);
  norm_qkv_rope_append(stream, x, w.pre_attention_norm, rule, w.self_attention.q.weight,
                       w.self_attention.k.weight, w.self_attention.v.weight, shape.rope_theta,
                       step.position, row(s.q), keys, values);
  scaled_dot_product_attention(stream, heads(s.q), keys, values, step.visible,
                               {shape.query_scale, shape.attention_soft_cap}, heads(s.mixed));
  add_product(row(s.mixed), w.self_attention.out, w.post_attention_norm);

  norm_gate_up_geglu(stream, x, w.pre_mlp_norm, rule, w.mlp.gate.weight, w.mlp.up.weight,
                     shape.gelu, row(s.hidden));
  add_product(row(s.hidden), w.mlp.down, w.post_mlp_norm);
}

}  // namespace paligemma::cuda
