#include "siglip/position_embedding.h"

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

// docs/siglip/position_embedding.md, "By hand".
TEST(PositionEmbedding, WorkedExample) {
  auto x = rows_of({{1, 2}, {1, 2}, {1, 2}, {1, 2}});
  const auto table = rows_of({{-0.5, -1}, {0.5, -1}, {-0.5, 1}, {0.5, 1}});
  position_embedding(reference, table.view(), x.view());
  EXPECT_TRUE(close(x.view(), rows_of({{0.5, 1}, {1.5, 1}, {0.5, 3}, {1.5, 3}}).view(), kExact));
}

// There is no class token: row 0 is the patch at the top left.
TEST(PositionEmbedding, ItsFirstRowBelongsToTheFirstPatch) {
  Buffer<float, 2> x({4, 1});
  const auto table = rows_of({{1}, {2}, {3}, {4}});
  position_embedding(reference, table.view(), x.view());
  EXPECT_TRUE(close(x.view(), table.view(), kExact));
}

TEST(PositionEmbedding, AddsAndDoesNotReplace) {
  auto x = random<float, 2>({4, 3}, 1);
  const auto before = random<float, 2>({4, 3}, 1);
  const Buffer<float, 2> zeros({4, 3});
  position_embedding(reference, zeros.view(), x.view());
  EXPECT_TRUE(close(x.view(), before.view(), kExact));
}

// 224 pixels make 256 patches, 448 make 1024. Rows that fit would be places of another picture.
TEST(PositionEmbedding, RejectsATableOfAnotherPictureSize) {
  const Buffer<float, 2> table_224({256, 4});
  Buffer<float, 2> x_448({1024, 4}), x_56({16, 4});
  EXPECT_THROW(position_embedding(reference, table_224.view(), x_448.view()), ContractError);
  EXPECT_THROW(position_embedding(reference, table_224.view(), x_56.view()), ContractError);
}

TEST(PositionEmbedding, RejectsATableOfAnotherWidth) {
  const Buffer<float, 2> table({4, 5});
  Buffer<float, 2> x({4, 6});
  EXPECT_THROW(position_embedding(reference, table.view(), x.view()), ContractError);
}

// Every second number of a wider buffer.
TEST(PositionEmbedding, TakesStridedViews) {
  auto wide = random<float, 2>({3, 8}, 1);
  const auto before = random<float, 2>({3, 8}, 1);
  const auto table = random<float, 2>({3, 4}, 2);
  const View<float, 2> x(wide.view().data(), {3, 4}, {8, 2});
  position_embedding(reference, table.view(), x);
  for (Index l = 0; l < 3; ++l) {
    for (Index d = 0; d < 8; ++d) {
      const float added = d % 2 == 0 ? table.view()(l, d / 2) : 0.0f;
      EXPECT_EQ(wide.view()(l, d), before.view()(l, d) + added);
    }
  }
}

// The sum in double, rounded once: the test data are multiples of 2^-23, so a float sum has the
// same bits. bf16 and f16 tables are widened exactly.
template <class Weight>
Buffer<float, 2> oracle(View<const Weight, 2> table, View<const float, 2> x) {
  Buffer<float, 2> y(x.shape());
  for (Index i = 0; i < x.count(); ++i) {
    y.view().data()[i] = static_cast<float>(double{x.data()[i]} + widen(table.data()[i]));
  }
  return y;
}

template <class Weight>
class PositionEmbeddingOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(PositionEmbeddingOf, Weights);

// 256 patches of 1152 features are So400m at 224 pixels; the rest are the sizes that break kernels.
TYPED_TEST(PositionEmbeddingOf, MatchesTheDefinition) {
  for (const auto& [L, D] : {std::pair<Index, Index>{1, 1},
                             {7, 7},
                             {1, 255},
                             {257, 3},
                             {25, 36},
                             {9, 257},
                             {256, 1152}}) {
    auto x = random<float, 2>({L, D}, 1);
    const auto table = random<TypeParam, 2>({L, D}, 2);
    const auto expected = oracle<TypeParam>(table.view(), x.view());
    position_embedding(reference, table.view(), x.view());
    EXPECT_TRUE(close(x.view(), expected.view(), kExact)) << "L = " << L << ", D = " << D;
  }
}

// The gradient of a sum is that of each term, for each picture again.
TEST(PositionEmbeddingBackward, AddsUpOverPictures) {
  const auto dx = rows_of({{1, 2}, {3, 4}}), other_dx = rows_of({{10, 20}, {30, 40}});
  Buffer<float, 2> dtable({2, 2}), short_dtable({1, 2});
  position_embedding_backward(reference, dx.view(), dtable.view());
  position_embedding_backward(reference, other_dx.view(), dtable.view());
  EXPECT_TRUE(close(dtable.view(), rows_of({{11, 22}, {33, 44}}).view(), kExact));
  EXPECT_THROW(position_embedding_backward(reference, dx.view(), short_dtable.view()),
               ContractError);
}

}  // namespace
}  // namespace paligemma
