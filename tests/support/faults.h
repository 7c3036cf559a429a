// What the tests with planted faults share: launch a kernel, hear what the emulation says of it.
#pragma once

#include <string>
#include <vector>

#include "cuda/core/gpu.h"
#include "tests/support/cuda_test.h"

namespace paligemma::cuda {

class Faults : public test::CudaTest {
 protected:
  // What the launch says; nothing if it says nothing.
  template <class... P>
  std::string error_of(dim3 block, std::size_t shared_bytes, void (*kernel)(P...),
                       std::type_identity_t<P>... arguments) {
    try {
      launch({1, block, shared_bytes, stream_}, kernel, arguments...);
    } catch (const CudaError& e) {
      return e.what();
    }
    return "";
  }

  float* y() { return y_.view().data(); }
  float* x() { return x_.view().data(); }
  std::vector<float> numbers_of_y() {
    const auto host = to_host(stream_, y_.view());
    return {host.view().data(), host.view().data() + 64};
  }

  // Runs the kernel in several orders. Whether y was other than expected in any.
  template <class F>
  bool differs_in_some_order(F expected, void (*kernel)(float*)) {
    for (unsigned seed = 0; seed < 5; ++seed) {
      set_thread_order(seed);
      launch({1, 64, 0, stream_}, kernel, y());
      const auto got = numbers_of_y();
      for (unsigned i = 0; i < 64; ++i) {
        if (got[i] != expected(i)) return true;
      }
    }
    return false;
  }

  Stream stream_;
  DeviceBuffer<float, 1> y_{{64}}, x_ = to_device(stream_, test::random<float, 1>({64}, 1).view());
};

#define EXPECT_SAYS(what, ...)                                         \
  do {                                                                 \
    const std::string said = error_of(__VA_ARGS__);                    \
    EXPECT_NE(said.find(what), std::string::npos) << "said: " << said; \
  } while (false)

#define NEEDS_CHECKED_KERNELS() \
  if (!is_checked()) GTEST_SKIP() << "seen only where every access to memory is checked"

}  // namespace paligemma::cuda
