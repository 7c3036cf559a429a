#include "zeta/loss.h"

#include "fast/gemma/sampler.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

TEST(FastLoss, IsThatOfTheReference) {
  for (Index V : {1, 7, 257}) {
    const auto logits = random<float, 2>({5, V}, 1);
    const TokenId last = static_cast<TokenId>(V - 1);
    const TokenId targets[] = {0, last, zeta::kIgnored, last / 2, 0};
    const View<const TokenId, 1> view(targets, {5});
    const View<const float, 2> rows = logits.view();
    EXPECT_TRUE(close(vector_of({zeta::cross_entropy(Fast(), rows, view)}).view(),
                      vector_of({zeta::cross_entropy(reference, rows, view)}).view(),
                      twice(float_sum_of(V, 1))));
  }
}

}  // namespace
}  // namespace paligemma
