#include "siglip/pooling.h"

#include "cuda/paligemma/model.h"
#include "cuda/paligemma/pipeline.h"
#include "tests/support/cuda_test.h"
#include "tests/support/embedding_golden.h"

namespace paligemma {
namespace {

using namespace test;

class CudaPooling : public CudaTest {};

TEST_F(CudaPooling, IsAsKerasHubHasIt) { embeds_as_keras_hub_does(cuda::Stream()); }
TEST_F(CudaPooling, IsAsTransformersHasIt) { embeds_as_transformers_does(cuda::Stream()); }

}  // namespace
}  // namespace paligemma
