#include "cuda/core/device.h"
#include "cuda/core/gpu.h"
#include "cuda/core/scratch.h"
#include "cuda/gemma/rope/frequency.h"
#include "cuda/zeta/sinusoid.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;
constexpr float kBase = 10000;

// Kernel 1, thread_per_number. Thread k owns number k of y: feature d of row t.
__global__ void sinusoid_thread_per_number(const int* positions, float scale, float* y, Index n,
                                           int E) {
  const Index k = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (k >= n) return;
  const int d = static_cast<int>(k % E), i = d % (E / 2);
  const float angle = static_cast<float>(positions[k / E]) * frequency_of(i, E, kBase);
  y[k] += scale * (d < E / 2 ? sinf(angle) : cosf(angle));
}

// Kernel 2, thread_per_angle. Thread k owns wave i of row t, where k = t E/2 + i: numbers i and i + E/2, which
// have one power and one angle.
__global__ void sinusoid_thread_per_angle(const int* positions, float scale, float* y, Index angles,
                                          int E) {
  const Index k = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (k >= angles) return;
  const int half = E / 2, i = static_cast<int>(k % half);
  const Index t = k / half;
  const float angle = static_cast<float>(positions[t]) * frequency_of(i, E, kBase);
  y[t * E + i] += scale * sinf(angle);
  y[t * E + i + half] += scale * cosf(angle);
}

}  // namespace

void sinusoid(const Stream& stream, DeviceView<const int, 1> positions, float scale,
              DeviceView<float, 2> y, SinusoidKernel kernel) {
  PG_CHECK(positions.size(0) == y.size(0),
           "positions " + shape_text(positions) + ", y " + shape_text(y));
  PG_CHECK(y.size(1) % 2 == 0,
           "y " + shape_text(y) + ": a row must have an even number of features");
  PG_CHECK(positions.is_row_major() && y.is_row_major(), "strided view");
  const Index n = y.count(), angles = n / 2;
  const int E = static_cast<int>(y.size(1));
  if (n == 0) return;

  switch (kernel) {
    case SinusoidKernel::thread_per_number:
      return launch({blocks_for(n, kThreads), kThreads, 0, stream}, sinusoid_thread_per_number,
                    positions.data(), scale, y.data(), n, E);
    case SinusoidKernel::best:
    case SinusoidKernel::thread_per_angle:
      return launch({blocks_for(angles, kThreads), kThreads, 0, stream}, sinusoid_thread_per_angle,
                    positions.data(), scale, y.data(), angles, E);
  }
}

void sinusoid(const Stream& stream, View<const int, 1> positions, float scale,
              DeviceView<float, 2> y, SinusoidKernel kernel) {
  PG_CHECK(positions.is_row_major(), "strided view");
  const Scratch<int, 1> there(stream, positions.shape());
  copy_to_device(stream, there.view().data(), positions.data(), positions.count() * sizeof(int));
  sinusoid(stream, DeviceView<const int, 1>(there.view()), scale, y, kernel);
}

}  // namespace paligemma::cuda
