#include "zeta/loss.h"

#include "cuda/gemma/sampler.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;

using CudaLoss = CudaTest;

TEST_F(CudaLoss, OfRowsOnTheDeviceIsThatOfTheReference) {
  const cuda::Stream stream;
  for (Index V : {1, 7, 257}) {
    const auto logits = random<float, 2>({5, V}, 1);
    const auto there = to_device(stream, logits.view());
    const TokenId last = static_cast<TokenId>(V - 1);
    const TokenId targets[] = {0, last, zeta::kIgnored, last / 2, 0};
    const View<const TokenId, 1> view(targets, {5});
    const double actual = zeta::cross_entropy(stream, there.view(), view);
    const double expected =
        zeta::cross_entropy(reference, View<const float, 2>(logits.view()), view);
    EXPECT_TRUE(
        close(vector_of({actual}).view(), vector_of({expected}).view(), twice(float_sum_of(V, 1))));
  }
}

}  // namespace
}  // namespace paligemma
