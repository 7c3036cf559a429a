// The yardstick of products: cuBLASLt, NVIDIA's own, at the same shape. It is looked for when it is
// asked for, and no program needs it to start; nothing but benchmarks calls it.
#pragma once

#include <memory>
#include <string>

#include "bench/support/cuda_bench.h"

namespace paligemma::bench {

class CublasLt {
 public:
  CublasLt();
  ~CublasLt();

  std::string problem() const;  // why there is none, in one line; empty if there is

  // Seconds for y = x Wᵀ with x [T, I] and W [O, I] in bf16, y [T, O] in float: the fastest of the
  // algorithms that it proposes. Weights come from device memory (Copies).
  double product_seconds(const cuda::Stream&, Index T, Index I, Index O);

 private:
  struct Library;
  std::unique_ptr<Library> library_;
};

// By cuBLASLt, or 0 if there is none; each shape is measured once.
double product_yardstick(const cuda::Stream&, Index T, Index I, Index O);

}  // namespace paligemma::bench
