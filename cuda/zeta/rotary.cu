#include "cuda/core/gpu.h"
#include "cuda/gemma/rope/frequency.h"
#include "cuda/zeta/rotary.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 128;

struct Heads {
  float* data;
  Index token_stride, head_stride;
  int N, R;

  __device__ float* at(Index t, int n) const { return data + t * token_stride + n * head_stride; }
};

// What turns pair j of position p, and stretches it.
struct Arrow {
  float cos, sin;
};
__device__ Arrow arrow_of(int j, Index p, int R, const RotaryRule& rule, Turn turn) {
  const float angle = static_cast<float>(p) / rule.interpolation * frequency_of(j, R, rule.base);
  float c = 1.0f;
  if (rule.xpos_scale_base > 0) {
    const double share = 2.0 * static_cast<double>(j) / static_cast<double>(R);
    const float s = static_cast<float>((share + 0.4) / 1.4);
    c = powf(s, static_cast<float>(p - rule.xpos_centre) / rule.xpos_scale_base);
    if (turn == Turn::key) c = 1.0f / c;
  }
  return {c * cosf(angle), c * sinf(angle)};
}

__device__ void turn_pair(float* head, int j, int R, Arrow by) {
  const float lower = head[j], upper = head[j + R / 2];
  head[j] = lower * by.cos - upper * by.sin;
  head[j + R / 2] = upper * by.cos + lower * by.sin;
}

// Kernel 1, thread_per_pair. Thread i owns one pair: j of head n of token t, where i = (t N + n) R/2 + j.
__global__ void rotary_thread_per_pair(Index first_position, RotaryRule rule, Turn turn, Heads x,
                                       Index pairs) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= pairs) return;
  const int half = x.R / 2, j = static_cast<int>(i % half);
  const int n = static_cast<int>(i / half % x.N);
  const Index t = i / half / x.N;
  turn_pair(x.at(t, n), j, x.R, arrow_of(j, first_position + t, x.R, rule, turn));
}

// Kernel 2, thread_per_angle. Thread i owns pair j of all heads of token t, where i = t R/2 + j: they are
// turned alike, so that the powers, the sine and the cosine are computed once for N pairs.
__global__ void rotary_thread_per_angle(Index first_position, RotaryRule rule, Turn turn, Heads x,
                                        Index angles) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= angles) return;
  const int half = x.R / 2, j = static_cast<int>(i % half);
  const Index t = i / half;
  const Arrow by = arrow_of(j, first_position + t, x.R, rule, turn);
  for (int n = 0; n < x.N; ++n) turn_pair(x.at(t, n), j, x.R, by);
}

}  // namespace

void rotary(const Stream& stream, Index first_position, const RotaryRule& rule, Turn turn,
            DeviceView<float, 3> x, RotaryKernel kernel) {
  PG_CHECK(x.size(2) % 2 == 0,
           "x " + shape_text(x) + ": a head must have an even number of features");
  PG_CHECK(x.stride()[2] == 1, "the features of a head are not side by side");
  const Heads heads{x.data(), x.stride()[0], x.stride()[1], static_cast<int>(x.size(1)),
                    static_cast<int>(x.size(2))};
  const Index angles = x.size(0) * x.size(2) / 2, pairs = angles * x.size(1);
  if (pairs == 0) return;

  switch (kernel) {
    case RotaryKernel::thread_per_pair:
      return launch({blocks_for(pairs, kThreads), kThreads, 0, stream}, rotary_thread_per_pair,
                    first_position, rule, turn, heads, pairs);
    case RotaryKernel::best:
    case RotaryKernel::thread_per_angle:
      return launch({blocks_for(angles, kThreads), kThreads, 0, stream}, rotary_thread_per_angle,
                    first_position, rule, turn, heads, angles);
  }
}

}  // namespace paligemma::cuda
