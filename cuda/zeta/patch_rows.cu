#include "cuda/core/gpu.h"
#include "cuda/core/pack.h"
#include "cuda/zeta/patch_rows.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;

// One row of pixels of a patch is a run of neighbours in the picture too. y is such runs one behind the other:
// P of each patch. Run u is row u % P of patch u / P; `side` patches stand side by side.
__device__ Index start_of(Index run, int P, int side, int run_size) {
  const Index patch = run / P;
  const Index row = patch / side * P + run % P;
  return (row * side + patch % side) * run_size;
}

// Kernel 1, thread_per_number. Thread i owns number i of y.
__global__ void patch_rows_thread_per_number(const float* pixels, float* y, Index n, int P,
                                             int side, int run_size) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) y[i] = pixels[start_of(i / run_size, P, side, run_size) + i % run_size];
}

// Kernel 2, thread_per_pack. The same with four numbers where it had one; a run is whole packs.
__global__ void patch_rows_thread_per_pack(const Pack<float>* pixels, Pack<float>* y, Index packs,
                                           int P, int side, int run_packs) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i < packs) y[i] = pixels[start_of(i / run_packs, P, side, run_packs) + i % run_packs];
}

}  // namespace

void patch_rows(const Stream& stream, DeviceView<const float, 3> pixels, Index patch_size,
                DeviceView<float, 2> y, PatchRowsKernel kernel) {
  const Index R = pixels.size(0), C = pixels.size(2), P = patch_size;
  PG_CHECK(pixels.size(1) == R, "pixels " + shape_text(pixels));
  PG_CHECK(P > 0 && R % P == 0,
           "pixels " + shape_text(pixels) + ", patch size " + std::to_string(P));
  const Index side = R / P, n = y.count();
  PG_CHECK(y.size(0) == side * side && y.size(1) == P * P * C,
           "pixels " + shape_text(pixels) + ", y " + shape_text(y));
  PG_CHECK(pixels.is_row_major() && y.is_row_major(), "strided view");
  if (n == 0) return;

  const Index packs = n / Pack<float>::kSize;
  const int run_size = static_cast<int>(P * C), run_packs = run_size / Pack<float>::kSize;
  const bool packable =
      run_size % Pack<float>::kSize == 0 && is_aligned(pixels.data()) && is_aligned(y.data());
  if (kernel == PatchRowsKernel::best) {
    kernel = packable ? PatchRowsKernel::thread_per_pack : PatchRowsKernel::thread_per_number;
  }
  switch (kernel) {
    case PatchRowsKernel::thread_per_number:
      return launch({blocks_for(n, kThreads), kThreads, 0, stream}, patch_rows_thread_per_number,
                    pixels.data(), y.data(), n, static_cast<int>(P), static_cast<int>(side),
                    run_size);
    case PatchRowsKernel::thread_per_pack:
      PG_CHECK(packable, "rows of patches of " + std::to_string(run_size) +
                             " numbers are not at multiples of 16 bytes");
      return launch({blocks_for(packs, kThreads), kThreads, 0, stream}, patch_rows_thread_per_pack,
                    as_packs(pixels.data()), as_packs(y.data()), packs, static_cast<int>(P),
                    static_cast<int>(side), run_packs);
    case PatchRowsKernel::best:
      break;  // replaced above
  }
}

}  // namespace paligemma::cuda
