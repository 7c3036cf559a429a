// Who computes what is learned, chosen by the device.
#include "engine/learners.h"

#include "fast/tensor/linear.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

// To the last bit. The two add up in another order where the compiler keeps several partial sums in the
// reference (tensor/dot.h), so that only an optimized build tells them apart.
TEST(Orthogonalizer, IsTheDevices) {
  const auto u = random<float, 2>({33, 257}, 1);
  const auto by = [&](const Orthogonalize& how) {
    Buffer<float, 2> x({33, 257});
    how(u.view(), x.view());
    return x;
  };
  const Kernels* const kernels = available_kernels().front();
  const Fast fast({.kernels = kernels, .threads = 2});
  Buffer<float, 2> plainly({33, 257}), fast_one({33, 257});
  orthogonalize(reference, u.view(), plainly.view());
  orthogonalize(fast, u.view(), fast_one.view());

  Device device{.id = "cpu", .text = "cpu", .executor = "reference"};
  EXPECT_TRUE(close(by(orthogonalizer(device)).view(), plainly.view(), kExact));
  device.executor = "fast";
  device.kernels = kernels;
  device.threads = 2;
  EXPECT_TRUE(close(by(orthogonalizer(device)).view(), fast_one.view(), kExact));
}

}  // namespace
}  // namespace paligemma
