#include <type_traits>

#include "cuda/core/gpu.h"
#include "cuda/core/scratch.h"
#include "cuda/siglip/patch_embedding.h"
#include "cuda/tensor/linear.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;

// A square picture of R x R pixels and its patches of P x P, `side` in a row of them.
struct Picture {
  const float* pixels;
  int R, P, side;

  // Where the pixels of patch l begin.
  __device__ const float* patch(Index l) const {
    return pixels + (l / side * P * R + l % side * P) * 3;
  }
};

// Kernel 1, thread_per_output. Thread d of block (c, l) owns feature d of patch l, and walks over the
// patch and over row d of the weights. A warp shares the pixel but reads 32 rows of weights, and each
// patch reads all weights again.
template <class Weight>
__global__ void patch_embedding_thread_per_output(Picture picture, const Weight* weight,
                                                  const Weight* bias, float* y, Index D) {
  const Index d = Index{blockIdx.x} * kThreads + threadIdx.x, l = blockIdx.y;
  if (d >= D) return;
  const int R = picture.R, P = picture.P;
  const float* patch = picture.patch(l);
  weight += d * 3 * P * P;

  float sum = 0.0f;
  for (int c = 0; c < 3; ++c) {
    for (int i = 0; i < P; ++i) {
      for (int j = 0; j < P; ++j) {
        sum += patch[(i * R + j) * 3 + c] * widen(weight[(c * P + i) * P + j]);
      }
    }
  }
  y[l * D + d] = sum + widen(bias[d]);
}

// Kernel 2, unfold. Block l makes row l of patch l, in the order of a row of weights, with zeros behind
// it. Neighbouring threads write neighbours, and read one channel of neighbouring pixels: every third
// number, of which the other two are in L1 when their channels' turn comes.
__global__ void patch_embedding_unfold(Picture picture, float* rows, int columns) {
  const int R = picture.R, P = picture.P;
  const Index l = blockIdx.x;
  const float* patch = picture.patch(l);
  for (int k = threadIdx.x; k < columns; k += kThreads) {
    const int c = k / (P * P), i = k / P % P, j = k % P;
    rows[l * columns + k] = c < 3 ? patch[(i * R + j) * 3 + c] : 0.0f;
  }
}

// Block d copies row d of the weights, with zeros behind it.
template <class Weight>
__global__ void patch_embedding_pad_weights(const Weight* weight, int I, Weight* padded,
                                            int columns) {
  const Index d = blockIdx.x;
  for (int k = threadIdx.x; k < columns; k += kThreads) {
    padded[d * columns + k] = k < I ? weight[d * I + k] : Weight{};
  }
}

template <class Weight>
void unfold(const Stream& stream, Picture picture, DeviceView<const Weight, 2> weight,
            DeviceView<const Weight, 1> bias, DeviceView<float, 2> y) {
  constexpr int kColumnsAtOnce = 8;  // 16 bytes of bf16
  const Index L = y.size(0), D = y.size(1);
  const int I = static_cast<int>(weight.size(1));
  const bool may_round = std::is_same_v<Weight, bf16> && stream.math() == Math::bf16;
  const int columns = may_round ? (I + kColumnsAtOnce - 1) / kColumnsAtOnce * kColumnsAtOnce : I;

  const Scratch<float, 2> rows(stream, {L, columns});
  launch({blocks_for(L), kThreads, 0, stream}, patch_embedding_unfold, picture, rows.view().data(),
         columns);
  if (columns == I) return linear(stream, rows.view(), Linear{weight, bias}, y);

  const Scratch<Weight, 2> padded(stream, {D, columns});
  launch({blocks_for(D), kThreads, 0, stream}, patch_embedding_pad_weights<Weight>, weight.data(),
         I, padded.view().data(), columns);
  linear(stream, rows.view(), Linear{padded.view(), bias}, y);
}

}  // namespace

template <class Weight>
void patch_embedding(const Stream& stream, DeviceView<const float, 3> pixels,
                     DeviceView<const Weight, 2> weight, DeviceView<const Weight, 1> bias,
                     Index patch_size, DeviceView<float, 2> y, PatchEmbeddingKernel kernel) {
  const Index R = pixels.size(0), P = patch_size, D = weight.size(0);
  PG_CHECK(pixels.size(1) == R && pixels.size(2) == 3, "pixels " + shape_text(pixels));
  PG_CHECK(P > 0 && weight.size(1) == 3 * P * P,
           "weight " + shape_text(weight) + ", patch size " + std::to_string(P));
  PG_CHECK(bias.size(0) == D, "weight " + shape_text(weight) + ", bias " + shape_text(bias));
  const Index side = R / P, L = side * side;
  PG_CHECK(y.size(0) == L && y.size(1) == D,
           "pixels " + shape_text(pixels) + ", y " + shape_text(y));
  PG_CHECK(
      pixels.is_row_major() && weight.is_row_major() && bias.is_row_major() && y.is_row_major(),
      "strided view");
  if (y.count() == 0) return;

  const Picture picture{pixels.data(), static_cast<int>(R), static_cast<int>(P),
                        static_cast<int>(side)};
  switch (kernel) {
    case PatchEmbeddingKernel::thread_per_output:
      return launch({dim3(blocks_for(D, kThreads), blocks_for(L)), kThreads, 0, stream},
                    patch_embedding_thread_per_output<Weight>, picture, weight.data(), bias.data(),
                    y.data(), D);
    case PatchEmbeddingKernel::best:
    case PatchEmbeddingKernel::unfold:
      return unfold(stream, picture, weight, bias, y);
  }
}

template void patch_embedding(const Stream&, DeviceView<const float, 3>, DeviceView<const float, 2>,
                              DeviceView<const float, 1>, Index, DeviceView<float, 2>,
                              PatchEmbeddingKernel);
template void patch_embedding(const Stream&, DeviceView<const float, 3>, DeviceView<const bf16, 2>,
                              DeviceView<const bf16, 1>, Index, DeviceView<float, 2>,
                              PatchEmbeddingKernel);
template void patch_embedding(const Stream&, DeviceView<const float, 3>, DeviceView<const f16, 2>,
                              DeviceView<const f16, 1>, Index, DeviceView<float, 2>,
                              PatchEmbeddingKernel);

}  // namespace paligemma::cuda
