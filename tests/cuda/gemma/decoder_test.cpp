#include "gemma/decoder.h"

#include "cuda/paligemma/model.h"
#include "tests/support/cuda_gemma.h"
#include "tests/support/cuda_test.h"
#include "tests/support/sequences.h"

namespace paligemma {
namespace {

using namespace test;

class CudaDecoder : public CudaTest {};

TEST_F(CudaDecoder, TakesSeveralSequencesAtOnce) {
  for (const auto& shape : {small_gemma1(), small_gemma2()}) {
    const RandomDecoder<float> decoder(shape);
    const cuda::Stream stream(cuda::Math::float32);
    WeightsThere<float> there(stream);
    expect_sequences_as_defined(stream, there.decoder(decoder.weights), decoder);
  }
}

}  // namespace
}  // namespace paligemma
