#include "cuda/core/block_reduce.h"
#include "cuda/tensor/unit_rows.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;

// Number d of the group's first number on, times its share of the scale, if there is one.
template <class Weight>
__device__ float scaled(float number, const Weight* scale, int d) {
  return scale ? number * widen(scale[d]) : number;
}

// Kernel 1, thread_per_group. Thread g walks group g of all rows alone. The 32 loads of a warp lie a group
// apart.
template <class Weight>
__global__ void unit_rows_thread_per_group(const float* x, const Weight* scale, float floor,
                                           float* y, Index all_groups, int groups, int size) {
  const Index g = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (g >= all_groups) return;
  x += g * size;
  y += g * size;
  const int first = static_cast<int>(g % groups) * size;  // in its row

  float sum_sq = 0.0f;
  for (int d = 0; d < size; ++d) sum_sq += x[d] * x[d];
  const float inv_length = 1.0f / fmaxf(sqrtf(sum_sq), floor);
  for (int d = 0; d < size; ++d) y[d] = scaled(x[d] * inv_length, scale, first + d);
}

// Kernel 2, warp_per_group. Warp w of block b owns group 8 b + w; lane i takes numbers i, i + 32, ... of it.
template <class Weight>
__global__ void unit_rows_warp_per_group(const float* x, const Weight* scale, float floor, float* y,
                                         Index all_groups, int groups, int size) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const Index g = Index{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  if (g >= all_groups) return;  // a whole warp
  x += g * size;
  y += g * size;
  const int first = static_cast<int>(g % groups) * size;

  float sum_sq = 0.0f;
  for (int d = lane; d < size; d += kWarpSize) sum_sq += x[d] * x[d];
  const float inv_length = 1.0f / fmaxf(sqrtf(warp_sum(sum_sq)), floor);
  for (int d = lane; d < size; d += kWarpSize) {
    y[d] = scaled(x[d] * inv_length, scale, first + d);
  }
}

}  // namespace

template <class Weight>
void unit_rows(const Stream& stream, DeviceView<const float, 2> x, UnitRule rule,
               DeviceView<const Weight, 1> scale, DeviceView<float, 2> y, UnitRowsKernel kernel) {
  const Index W = x.size(1), groups = rule.groups;
  PG_CHECK(groups > 0 && W % groups == 0,
           "x " + shape_text(x) + ", " + std::to_string(groups) + " groups");
  PG_CHECK(scale.size(0) == W || scale.size(0) == 0,
           "x " + shape_text(x) + ", scale " + shape_text(scale));
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));
  const bool has_scale = scale.size(0) > 0;
  PG_CHECK(x.is_row_major() && (!has_scale || scale.is_row_major()) && y.is_row_major(),
           "strided view");
  if (x.count() == 0) return;

  const Index all_groups = x.size(0) * groups;
  const int size = static_cast<int>(W / groups);
  const Weight* const factors = has_scale ? scale.data() : nullptr;
  switch (kernel) {
    case UnitRowsKernel::thread_per_group:
      return launch({blocks_for(all_groups, kThreads), kThreads, 0, stream},
                    unit_rows_thread_per_group<Weight>, x.data(), factors, rule.floor, y.data(),
                    all_groups, static_cast<int>(groups), size);
    case UnitRowsKernel::best:
    case UnitRowsKernel::warp_per_group:
      return launch({blocks_for(all_groups, kWarps), kThreads, 0, stream},
                    unit_rows_warp_per_group<Weight>, x.data(), factors, rule.floor, y.data(),
                    all_groups, static_cast<int>(groups), size);
  }
}

template void unit_rows(const Stream&, DeviceView<const float, 2>, UnitRule,
                        DeviceView<const float, 1>, DeviceView<float, 2>, UnitRowsKernel);
template void unit_rows(const Stream&, DeviceView<const float, 2>, UnitRule,
                        DeviceView<const bf16, 1>, DeviceView<float, 2>, UnitRowsKernel);
template void unit_rows(const Stream&, DeviceView<const float, 2>, UnitRule,
                        DeviceView<const f16, 1>, DeviceView<float, 2>, UnitRowsKernel);

}  // namespace paligemma::cuda
