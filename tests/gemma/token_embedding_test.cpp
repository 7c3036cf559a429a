#include "gemma/token_embedding.h"

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

Buffer<TokenId, 1> ids_of(std::initializer_list<TokenId> ids) {
  Buffer<TokenId, 1> buffer({static_cast<Index>(ids.size())});
  std::copy(ids.begin(), ids.end(), buffer.view().data());
  return buffer;
}

float root(Index D) { return std::sqrt(static_cast<float>(D)); }

// docs/gemma/token_embedding.md, "By hand".
TEST(TokenEmbedding, WorkedExample) {
  const auto table = rows_of({{0.5, 0, -1, 2}, {9, 9, 9, 9}, {1, -3, 0.25, 0}});
  const auto ids = ids_of({2, 0, 2});
  Buffer<float, 2> y({3, 4});
  token_embedding(reference, ids.view(), table.view(), 2, y.view());
  const auto expected = rows_of({{2, -6, 0.5, 0}, {1, 0, -2, 4}, {2, -6, 0.5, 0}});
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));
}

// The width of Gemma 2B. Rounded to bf16 the factor would be 45.25.
TEST(TokenEmbedding, TheFactorIsNotRoundedToBf16) {
  Buffer<bf16, 2> ones({1, 2048});
  std::fill_n(ones.view().data(), 2048, narrow<bf16>(1.0f));
  const View<const bf16, 2> table = ones.view();
  const auto ids = ids_of({0});
  Buffer<float, 2> y({1, 2048});
  token_embedding(reference, ids.view(), table, 45.254834f, y.view());
  Buffer<float, 2> expected({1, 2048});
  std::fill_n(expected.view().data(), 2048, 45.254834f);
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));
}

// The model hands over the rows behind the picture. Those of the picture are not scaled.
TEST(TokenEmbedding, LeavesTheRowsOfThePictureAsTheyAre) {
  const auto table = random<float, 2>({8, 16}, 1);
  const auto ids = ids_of({2, 7});
  const auto picture = random<float, 2>({5, 16}, 2);
  Buffer<float, 2> x({7, 16});
  copy(reference, picture.view(), x.view().rows(0, 5));
  token_embedding(reference, ids.view(), table.view(), 4, x.view().rows(5, 7));
  EXPECT_TRUE(close(View<const float, 2>(x.view().rows(0, 5)), picture.view(), kExact));
  EXPECT_EQ(x.view()(5, 3), 4 * table.view()(2, 3));
  EXPECT_EQ(x.view()(6, 15), 4 * table.view()(7, 15));
}

TEST(TokenEmbedding, NoTokensAreNoRows) {
  const auto table = random<float, 2>({8, 16}, 1);
  const Buffer<TokenId, 1> ids({0});
  Buffer<float, 2> y({0, 16});
  EXPECT_NO_THROW(token_embedding(reference, ids.view(), table.view(), 4, y.view()));
}

TEST(TokenEmbedding, RejectsIdsThatAreNotInTheTable) {
  const auto table = random<float, 2>({8, 16}, 1);
  Buffer<float, 2> y({1, 16});
  for (TokenId id : {-1, 8, 257152}) {
    const auto ids = ids_of({id});
    EXPECT_THROW(token_embedding(reference, ids.view(), table.view(), 4, y.view()), ContractError)
        << "id " << id;
  }
}

TEST(TokenEmbedding, RejectsWrongShapes) {
  const auto table = random<float, 2>({8, 16}, 1);
  const auto ids = ids_of({1, 2});
  Buffer<float, 2> narrow_y({2, 15}), short_y({1, 16});
  EXPECT_THROW(token_embedding(reference, ids.view(), table.view(), 4, narrow_y.view()),
               ContractError);
  EXPECT_THROW(token_embedding(reference, ids.view(), table.view(), 4, short_y.view()),
               ContractError);
}

// The definition again, in double.
template <class Table>
Buffer<float, 2> oracle(View<const TokenId, 1> ids, View<const Table, 2> table) {
  Buffer<float, 2> y({ids.size(0), table.size(1)});
  for (Index t = 0; t < ids.size(0); ++t) {
    const Table* row = table.data() + ids.data()[t] * table.size(1);
    for (Index d = 0; d < table.size(1); ++d) {
      const double scaled = std::pow(static_cast<double>(table.size(1)), 0.5) * widen(row[d]);
      y.view()(t, d) = static_cast<float>(scaled);
    }
  }
  return y;
}

template <class Table>
class TokenEmbeddingOf : public ::testing::Test {};
using Tables = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(TokenEmbeddingOf, Tables);

// 2048 and 2304 are the widths of PaliGemma's and PaliGemma 2's smallest decoders. Three roundings:
// the root, the product, and the expected value.
TYPED_TEST(TokenEmbeddingOf, MatchesTheDefinition) {
  for (Index D : {1, 7, 255, 257, 2048, 2304}) {
    const auto table = random<TypeParam, 2>({11, D}, 1);
    const auto ids = ids_of({10, 0, 3, 3, 7});
    Buffer<float, 2> y({5, D});
    token_embedding(reference, ids.view(), table.view(), root(D), y.view());
    const auto expected = oracle(ids.view(), table.view());
    EXPECT_TRUE(close(y.view(), expected.view(), float_operations(3))) << "D = " << D;
  }
}

// ---- backward --------------------------------------------------------------------------------------

// docs/gemma/token_embedding.md, "Backward": the table is linear, so its gradient is a sum over where a word stands.
TEST(TokenEmbeddingBackward, AddsUpWhereAWordStands) {
  const auto ids = ids_of({2, 0, 2});
  const auto dy = rows_of({{1, 2}, {3, 4}, {5, 6}});
  auto dtable = rows_of({{1, 1}, {1, 1}, {1, 1}});
  token_embedding_backward(reference, ids.view(), 2, dy.view(), dtable.view());
  EXPECT_TRUE(close(dtable.view(), rows_of({{7, 9}, {1, 1}, {13, 17}}).view(), kExact));
}

TEST(TokenEmbeddingBackward, IsTheSlopeOfTheDefinition) {
  constexpr Index V = 4, D = 7;
  const auto ids = ids_of({3, 1, 1, 0, 3});
  const auto table = random<float, 2>({V, D}, 1), dy = random<float, 2>({5, D}, 2);
  const auto definition = [&](const Doubles& rows) {
    Doubles y;
    for (Index i = 0; i < 5 * D; ++i) {
      y.push_back(1.5 * rows[static_cast<std::size_t>(ids.view()(i / D) * D + i % D)]);
    }
    return y;
  };
  Buffer<float, 2> dtable({V, D});
  token_embedding_backward(reference, ids.view(), 1.5f, dy.view(), dtable.view());
  EXPECT_TRUE(is_gradient(dtable, gradient_of(definition, doubles(table), doubles(dy)), 2));
}

TEST(TokenEmbeddingBackward, RejectsWrongShapesAndIds) {
  const auto dy = random<float, 2>({1, 3}, 1);
  Buffer<float, 2> dtable({4, 3}), narrow({4, 2});
  const auto run = [&](const Buffer<TokenId, 1>& ids, Buffer<float, 2>& to) {
    token_embedding_backward(reference, ids.view(), 1, dy.view(), to.view());
  };
  EXPECT_NO_THROW(run(ids_of({3}), dtable));
  EXPECT_THROW(run(ids_of({4}), dtable), ContractError);
  EXPECT_THROW(run(ids_of({-1}), dtable), ContractError);
  EXPECT_THROW(run(ids_of({1, 2}), dtable), ContractError);
  EXPECT_THROW(run(ids_of({1}), narrow), ContractError);
}

}  // namespace
}  // namespace paligemma
