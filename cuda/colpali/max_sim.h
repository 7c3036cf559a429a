// MaxSim on the GPU. The contract is colpali/max_sim.h's; views are row-major, and what `first` says is not checked.
//
// Two kernels. A block owns a page in both, so that no block waits for another.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma::cuda {

enum class MaxSimKernel {
  best,
  thread_per_row,  // a thread multiplies whole rows; a page is read for each row of the query
  tiled,           // 32 rows of the query meet 64 of the page in shared memory
};

template <class Row>
void max_sim(const Stream& stream, DeviceView<const float, 2> q, DeviceView<const Row, 2> rows,
             DeviceView<const Index, 1> first, DeviceView<float, 1> scores,
             MaxSimKernel kernel = MaxSimKernel::best);

}  // namespace paligemma::cuda
