#include "colpali/model.h"

#include "cuda/paligemma/model.h"
#include "cuda/paligemma/pipeline.h"
#include "cuda/tensor/unit_rows.h"
#include "tests/support/colpali_golden.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;

class CudaColpali : public CudaTest {};

TEST_F(CudaColpali, EncodesAsTheOriginalsDo) {
  for (const char* name : {"hf", "adapter"}) {
    encodes_as_the_originals_do(cuda::Stream(cuda::Math::float32), name, {}, kColpaliSums);
  }
}
TEST_F(CudaColpali, RoundsNoMoreThanItSays) {
  encodes_as_the_originals_do(cuda::Stream(), "hf", {}, kColpaliRoundings);
}

}  // namespace
}  // namespace paligemma
