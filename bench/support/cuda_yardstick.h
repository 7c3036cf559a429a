// The yardstick of everything that memory decides: a kernel that reads and writes as many bytes and does
// nothing else. And random numbers, made where they are needed: products of zeros run faster.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma::bench {

using Bytes = DeviceView<const unsigned char, 1>;

// How many loads of 16 bytes a thread has in flight; which is fastest depends on the GPU and the size.
inline constexpr int kYardstickLoads[] = {1, 4, 8};

// Whole multiples of 16 bytes. `processors`: of the GPU.
void move_bytes(const cuda::Stream&, int loads, int processors, Bytes weights, Bytes in,
                DeviceView<unsigned char, 1> out);

// Uniform in [-1, 1), cut to the type; f16 in ±[0.5, 1).
void fill_random(const cuda::Stream&, float* p, Index count, unsigned seed);
void fill_random(const cuda::Stream&, bf16* p, Index count, unsigned seed);
void fill_random(const cuda::Stream&, f16* p, Index count, unsigned seed);

}  // namespace paligemma::bench
