// Scaled dot-product attention on the GPU. The contract (equation, shapes, what may be strided) is
// tensor/scaled_dot_product_attention.h's; `visible` lies in device memory, so that the ranges may
// change from one launch of a graph to the next. They are not looked at by the host: a range that is
// empty or outside of the keys is undefined behaviour here, not an error.
//
// A bias keeps `best` from tensor cores, and weights are shown by block_per_query alone: a kernel that is
// asked by name for what it does not do throws.
//
// Rows of k and v that no query sees are never read. A row that some queries see must be finite, as
// their neighbours take it too, with a weight of 0.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/scaled_dot_product_attention.h"

namespace paligemma::cuda {

enum class AttentionKernel {
  best,
  block_per_query,  // a row of scores in shared memory; keys and values read again for every query
  online,           // tiles of keys shared by 32 queries, softmax on the way; H up to 400
  tensor_core,  // the same by tensor cores: q, k, v and the weights rounded to bf16; H up to 256
  split_keys,   // for few queries: the keys spread over blocks, their results combined
};

void scaled_dot_product_attention(const Stream& stream, DeviceView<const float, 3> q,
                                  DeviceView<const float, 3> k, DeviceView<const float, 3> v,
                                  DeviceView<const KeyRange, 1> visible, AttentionRule rule,
                                  DeviceView<float, 3> out,
                                  AttentionKernel kernel = AttentionKernel::best,
                                  const DistanceBias<Space::device>& bias = {},
                                  AttentionMaps<Space::device> maps = {});

// As the other executors take it.
inline void scaled_dot_product_attention(const Stream& stream, DeviceView<const float, 3> q,
                                         DeviceView<const float, 3> k, DeviceView<const float, 3> v,
                                         DeviceView<const KeyRange, 1> visible, AttentionRule rule,
                                         DeviceView<float, 3> out,
                                         const DistanceBias<Space::device>& bias,
                                         AttentionMaps<Space::device> maps = {}) {
  scaled_dot_product_attention(stream, q, k, v, visible, rule, out, AttentionKernel::best, bias,
                               maps);
}

}  // namespace paligemma::cuda
