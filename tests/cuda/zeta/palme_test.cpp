// All golden outputs of tests/golden/zeta/, by kernels. Nothing is rounded but sums, and the tolerances are
// those of the reference.
#include "cuda/zeta/palme.h"

#include "tests/support/cuda_test.h"
#include "tests/support/zeta_golden.h"

namespace paligemma {
namespace {

using namespace test;

class CudaPalmE : public CudaTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(CudaPalmE, EveryOutputIsWithinItsTolerance) {
  const cuda::Stream stream(cuda::Math::float32);
  expect_golden(stream, GetParam());
}

INSTANTIATE_TEST_SUITE_P(, CudaPalmE, ::testing::ValuesIn(zeta_case_names()), name_of_case);

}  // namespace
}  // namespace paligemma
