// What tests of CUDA versions share. They are linked three times: with emulated kernels, with
// emulated kernels whose every access to memory is checked, and, where there is an nvcc, with the
// GPU's. Without a GPU the last are skipped, and say why.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "cuda/core/device_buffer.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma::test {

class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string problem = cuda::device_problem(); !problem.empty()) {
      GTEST_SKIP() << problem;
    }
  }
  void TearDown() override { cuda::set_thread_order(0); }
};

// Emulated threads run in several orders: a missing barrier may show in one and not in another. A
// GPU has its own.
template <class F>
void in_every_order(F run) {
  constexpr int kOrders = 4;
  for (unsigned seed = 0; seed < (cuda::is_emulated() ? kOrders : 1u); ++seed) {
    SCOPED_TRACE("order of threads " + std::to_string(seed));
    cuda::set_thread_order(seed);
    run();
  }
}

}  // namespace paligemma::test
