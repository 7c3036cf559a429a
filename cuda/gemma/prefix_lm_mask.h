// The prefix-LM mask on the GPU. The contract is gemma/prefix_lm_mask.h's; `visible` is row-major.
//
// One kernel: a thread per query, which writes 16 bytes. There is nothing to make faster; attention
// may as well call visible_keys itself and read no mask.
#pragma once

#include "cuda/core/stream.h"
#include "gemma/prefix_lm_mask.h"

namespace paligemma::cuda {

void prefix_lm_mask(const Stream& stream, Index first_query, Index prefix, Index window,
                    DeviceView<KeyRange, 1> visible);

// The same for recorded graphs: the first query is one number in device memory.
void prefix_lm_mask(const Stream& stream, DeviceView<const Index, 1> first_query, Index prefix,
                    Index window, DeviceView<KeyRange, 1> visible);

}  // namespace paligemma::cuda
