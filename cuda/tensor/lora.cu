#include "cuda/core/gpu.h"
#include "cuda/tensor/lora.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;

// Thread o of token t.
__global__ void lora_thread_per_number(const float* low, int r, const float* b,
                                       const float* magnitude, const float* bias, float* y,
                                       Index O) {
  const Index o = Index{blockIdx.x} * kThreads + threadIdx.x, t = blockIdx.y;
  if (o >= O) return;
  float sum = 0.0f;
  for (int k = 0; k < r; ++k) sum += low[t * r + k] * b[k * O + o];
  const float own = magnitude != nullptr ? magnitude[o] * y[t * O + o] : y[t * O + o];
  y[t * O + o] = own + sum + (bias != nullptr ? bias[o] : 0.0f);
}

}  // namespace

void add_low_rank(const Stream& stream, DeviceView<const float, 2> low,
                  const Lora<DeviceWeights<float>>& w, DeviceView<float, 2> y) {
  check_low_rank(low, w, y);
  PG_CHECK(y.is_row_major(), "strided view");
  if (y.count() == 0) return;
  const dim3 blocks(blocks_for(y.size(1), kThreads), static_cast<unsigned>(y.size(0)));
  launch({blocks, kThreads, 0, stream}, lora_thread_per_number, low.data(),
         static_cast<int>(low.size(1)), w.b.data(), w.magnitude.data(), w.bias.data(), y.data(),
         y.size(1));
}

}  // namespace paligemma::cuda
