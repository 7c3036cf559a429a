// An exception cannot leave a parallel loop, it ends the program by std::terminate. So nothing that can throw
// runs inside one: here, that no memory is asked for there.
#include <gtest/gtest.h>
#include <omp.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "processing/mask_layers.h"
#include "siglip/patch_embedding.h"
#include "tensor/linear.h"
#include "tensor/quantized_linear.h"
#include "tensor/scaled_dot_product_attention.h"

static std::atomic<int> allocated_in_parallel = 0;
static void* allocated(std::size_t bytes, std::size_t alignment) {
  if (omp_in_parallel()) ++allocated_in_parallel;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, bytes > 0 ? bytes : 1) == 0) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes) { return allocated(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocated(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace paligemma {
namespace {

class ParallelLoops : public ::testing::Test {
 protected:
  ParallelLoops() {
    omp_set_num_threads(2);
    allocated_in_parallel = 0;
  }
};

TEST_F(ParallelLoops, AreSeenHere) {
#pragma omp parallel
  {
    void* volatile memory = ::operator new(1);  // volatile, or the compiler leaves it out
    ::operator delete(memory);
  }
  EXPECT_GT(allocated_in_parallel, 0);
}

template <class Weight>
void run_linear(Index inputs, Index columns) {
  const Buffer<float, 2> x({3, inputs});
  const Buffer<Weight, 2> weight({5, columns});
  Buffer<float, 2> y({3, 5}), dx({3, inputs});
  linear(reference, x.view(), Linear{weight.view()}, y.view());
  linear_backward(reference, x.view(), Linear{weight.view()}, y.view(), dx.view(), {});
}

TEST_F(ParallelLoops, OfProductsAllocateNothing) {
  run_linear<float>(300, 300);
  run_linear<bf16>(300, 300);
  run_linear<Int8Block>(300, 2);
  run_linear<Int4Block>(300, 2);
  EXPECT_EQ(allocated_in_parallel, 0);
}

TEST_F(ParallelLoops, OfAttentionAllocateNothing) {
  const Buffer<float, 3> q({3, 4, 8}), k({5, 2, 8});
  Buffer<float, 3> out({3, 4, 8});
  scaled_dot_product_attention(reference, q.view(), k.view(), k.view(), {}, {1}, out.view());
  EXPECT_EQ(allocated_in_parallel, 0);
}

TEST_F(ParallelLoops, OfPicturesAllocateNothing) {
  const Buffer<float, 3> pixels({4, 4, 3});
  const Buffer<float, 1> bias({6});
  const Buffer<float, 2> patch({6, 12});
  Buffer<float, 2> patches({4, 6});
  patch_embedding(reference, pixels.view(), patch.view(), bias.view(), 2, patches.view());

  // As many products as are worth threads.
  const Buffer<float, 3> x({32, 32, 64});
  const Buffer<float, 4> kernel({3, 3, 64, 6}), stamp({4, 4, 64, 6});
  Buffer<float, 3> y({32, 32, 6}), smaller({16, 16, 6}), larger({64, 64, 6});
  convolve(x.view(), kernel.view(), bias.view(), y.view());
  convolve_halving(x.view(), stamp.view(), bias.view(), smaller.view());
  convolve_transposed(x.view(), stamp.view(), bias.view(), larger.view());
  EXPECT_EQ(allocated_in_parallel, 0);
}

}  // namespace
}  // namespace paligemma
