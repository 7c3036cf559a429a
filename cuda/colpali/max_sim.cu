#include "cuda/colpali/max_sim.h"
#include "cuda/core/block_reduce.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;

// Kernel 1, thread_per_row. Block p owns page p. For one row of the query after the other, thread i multiplies
// rows i, i + 256, ... of the page; the block finds the largest product.
template <class Row>
__global__ void max_sim_thread_per_row(const float* q, const Row* rows, const Index* first,
                                       float* scores, int T, int W) {
  __shared__ float partial[kWarps];
  const Index begin = first[blockIdx.x], end = first[blockIdx.x + 1];

  float sum = 0.0f;
  for (int t = 0; t < T; ++t) {
    float best = -INFINITY;
    for (Index r = begin + threadIdx.x; r < end; r += kThreads) {
      float product = 0.0f;
      for (int i = 0; i < W; ++i) product += q[t * W + i] * widen(rows[r * W + i]);
      best = fmaxf(best, product);
    }
    sum += block_max(best, -INFINITY, partial);
    __syncthreads();  // all have read the warps' maxima before the next row's are written
  }
  if (threadIdx.x == 0) scores[blockIdx.x] = sum;
}

constexpr int kTileQueries = 32;  // rows of the query
constexpr int kTileRows = 64;     // rows of the page
constexpr int kTileI = 32;        // features
constexpr int kSide = 16;         // threads that share a row of the query

// rows begin ... end - 1 of x [.., W], features i0 on, one feature's numbers side by side: columns of a tile.
// Neighbouring threads read neighbouring features. The column beside the tile keeps their stores in
// different banks.
template <int Rows, class Number>
__device__ void fill(float (&tile)[kTileI][Rows + 1], const Number* x, Index begin, Index end,
                     int i0, int W) {
  for (int n = static_cast<int>(threadIdx.x); n < Rows * kTileI; n += kThreads) {
    const int r = n / kTileI, i = n % kTileI;
    const bool is_there = begin + r < end && i0 + i < W;
    tile[i][r] = is_there ? widen(x[(begin + r) * W + i0 + i]) : 0.0f;
  }
}

// Kernel 2, tiled. Block p owns page p; a thread owns two rows of the query and every 16th row of the page, four
// of a tile. A number of the page is read from memory once for 32 rows of the query, and one of shared memory serves
// two products or four.
template <class Row>
__global__ void __launch_bounds__(kThreads)
    max_sim_tiled(const float* q, const Row* rows, const Index* first, float* scores, int T,
                  int W) {
  __shared__ float query_tile[kTileI][kTileQueries + 1];
  __shared__ float row_tile[kTileI][kTileRows + 1];
  __shared__ float partial[kWarps];
  constexpr int kOwn = kTileRows / kSide;
  const int x = static_cast<int>(threadIdx.x) % kSide, y = static_cast<int>(threadIdx.x) / kSide;
  const Index begin = first[blockIdx.x], end = first[blockIdx.x + 1];

  float sum = 0.0f;  // of this thread's rows of the query; behind the last one tiles have zeros
  for (int t0 = 0; t0 < T; t0 += kTileQueries) {
    float best[2] = {-INFINITY, -INFINITY};
    for (Index r0 = begin; r0 < end; r0 += kTileRows) {
      float product[2][kOwn] = {};
      for (int i0 = 0; i0 < W; i0 += kTileI) {
        fill<kTileQueries>(query_tile, q, t0, T, i0, W);
        fill<kTileRows>(row_tile, rows, r0, end, i0, W);
        __syncthreads();  // the tiles are full before anyone reads them
        for (int i = 0; i < kTileI; ++i) {
          for (int j = 0; j < kOwn; ++j) {
            const float number = row_tile[i][x + kSide * j];
            product[0][j] += query_tile[i][2 * y] * number;
            product[1][j] += query_tile[i][2 * y + 1] * number;
          }
        }
        __syncthreads();  // all are done with the tiles before they are filled again
      }
      for (int j = 0; j < kOwn; ++j) {
        if (r0 + x + kSide * j >= end) continue;
        best[0] = fmaxf(best[0], product[0][j]);
        best[1] = fmaxf(best[1], product[1][j]);
      }
    }
    for (int h = 0; h < 2; ++h) {
      for (int offset = kSide / 2; offset > 0; offset /= 2) {
        best[h] = fmaxf(best[h], __shfl_xor_sync(kAllLanes, best[h], offset));
      }
      if (x == 0) sum += best[h];
    }
  }
  sum = block_sum(sum, partial);
  if (threadIdx.x == 0) scores[blockIdx.x] = sum;
}

}  // namespace

template <class Row>
void max_sim(const Stream& stream, DeviceView<const float, 2> q, DeviceView<const Row, 2> rows,
             DeviceView<const Index, 1> first, DeviceView<float, 1> scores, MaxSimKernel kernel) {
  const Index P = scores.size(0);
  PG_CHECK(rows.size(1) == q.size(1) && first.size(0) == P + 1,
           "q " + shape_text(q) + ", rows " + shape_text(rows) + ", first " + shape_text(first) +
               ", scores " + shape_text(scores));
  PG_CHECK(q.is_row_major() && rows.is_row_major() && first.is_row_major() && scores.is_row_major(),
           "strided view");
  if (P == 0) return;

  const int T = static_cast<int>(q.size(0)), W = static_cast<int>(q.size(1));
  const Launch to{blocks_for(P), kThreads, 0, stream};
  switch (kernel) {
    case MaxSimKernel::thread_per_row:
      return launch(to, max_sim_thread_per_row<Row>, q.data(), rows.data(), first.data(),
                    scores.data(), T, W);
    case MaxSimKernel::best:
    case MaxSimKernel::tiled:
      return launch(to, max_sim_tiled<Row>, q.data(), rows.data(), first.data(), scores.data(), T,
                    W);
  }
}

template void max_sim(const Stream&, DeviceView<const float, 2>, DeviceView<const float, 2>,
                      DeviceView<const Index, 1>, DeviceView<float, 1>, MaxSimKernel);
template void max_sim(const Stream&, DeviceView<const float, 2>, DeviceView<const bf16, 2>,
                      DeviceView<const Index, 1>, DeviceView<float, 1>, MaxSimKernel);
template void max_sim(const Stream&, DeviceView<const float, 2>, DeviceView<const f16, 2>,
                      DeviceView<const Index, 1>, DeviceView<float, 1>, MaxSimKernel);

}  // namespace paligemma::cuda
