#include "cuda/gemma/token_embedding.h"

#include <cmath>

#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::TokenEmbeddingKernel;

constexpr float kScale = 45.254834f;  // the root of 2048

Buffer<TokenId, 1> ids_of(std::initializer_list<TokenId> ids) {
  Buffer<TokenId, 1> buffer({static_cast<Index>(ids.size())});
  std::copy(ids.begin(), ids.end(), buffer.view().data());
  return buffer;
}

template <class Table>
class CudaTokenEmbeddingOf : public CudaTest {
 protected:
  static void expect_matches_reference(Index D, TokenEmbeddingKernel kernel) {
    const auto ids = ids_of({0, 10, 3, 3});  // first, last, and one twice
    const auto table = random<Table, 2>({11, D}, 1);
    Buffer<float, 2> expected({4, D});
    token_embedding(reference, ids.view(), table.view(), kScale, expected.view());
    const cuda::Stream stream;
    const auto ids_there = to_device(stream, ids.view());
    const auto table_there = to_device(stream, table.view());
    cuda::DeviceBuffer<float, 2> y_there({4, D});
    token_embedding(stream, ids_there.view(), table_there.view(), kScale, y_there.view(), kernel);
    const auto y = to_host(stream, y_there.view());
    EXPECT_TRUE(close(y.view(), expected.view(), kExact)) << "D = " << D;
  }
};

using Tables = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(CudaTokenEmbeddingOf, Tables);

TYPED_TEST(CudaTokenEmbeddingOf, ThreadPerNumberMatchesReference) {
  for (Index D : {1, 7, 255, 257, 2048}) {
    this->expect_matches_reference(D, TokenEmbeddingKernel::thread_per_number);
  }
}

TYPED_TEST(CudaTokenEmbeddingOf, ThreadPerPackMatchesReference) {
  for (Index D : {4, 40, 1020, 1028, 2048}) {
    this->expect_matches_reference(D, TokenEmbeddingKernel::thread_per_pack);
  }
}

TYPED_TEST(CudaTokenEmbeddingOf, BestMatchesReference) {
  for (Index D : {1, 7, 255, 257, 2048}) {
    this->expect_matches_reference(D, TokenEmbeddingKernel::best);
  }
}

TYPED_TEST(CudaTokenEmbeddingOf, BestTakesTablesThatStartAnywhere) {
  const auto ids = ids_of({2, 0});
  const auto whole = random<TypeParam, 2>({1, 25}, 1);
  Buffer<float, 2> expected({2, 8});
  token_embedding(reference, ids.view(), View<const TypeParam, 2>(whole.view().data() + 1, {3, 8}),
                  kScale, expected.view());
  const cuda::Stream stream;
  const auto ids_there = to_device(stream, ids.view());
  const auto there = to_device(stream, whole.view());
  const DeviceView<const TypeParam, 2> table_there(there.view().data() + 1, {3, 8});
  cuda::DeviceBuffer<float, 2> y_there({2, 8});
  token_embedding(stream, ids_there.view(), table_there, kScale, y_there.view());
  const auto y = to_host(stream, y_there.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));
}

TYPED_TEST(CudaTokenEmbeddingOf, MakesNaNOfIdsThatAreNoRow) {
  const auto ids = ids_of({-1, 2, 3});
  const auto table = random<TypeParam, 2>({3, 8}, 1);
  const cuda::Stream stream;
  const auto ids_there = to_device(stream, ids.view());
  const auto table_there = to_device(stream, table.view());
  for (auto kernel :
       {TokenEmbeddingKernel::thread_per_number, TokenEmbeddingKernel::thread_per_pack}) {
    cuda::DeviceBuffer<float, 2> y_there({3, 8});
    token_embedding(stream, ids_there.view(), table_there.view(), kScale, y_there.view(), kernel);
    const auto y = to_host(stream, y_there.view());
    EXPECT_TRUE(std::isnan(y.view()(0, 0)));
    EXPECT_FALSE(std::isnan(y.view()(1, 7)));
    EXPECT_TRUE(std::isnan(y.view()(2, 7)));
  }
}

// The prompt's: the tokenizer leaves them on the host, where they can be looked at.
TYPED_TEST(CudaTokenEmbeddingOf, TakesIdsOfTheHost) {
  auto ids = ids_of({10, 0, 3});
  const auto table = random<TypeParam, 2>({11, 40}, 1);
  Buffer<float, 2> expected({3, 40});
  token_embedding(reference, ids.view(), table.view(), kScale, expected.view());
  const cuda::Stream stream;
  const auto table_there = to_device(stream, table.view());
  cuda::DeviceBuffer<float, 2> y_there({3, 40});
  token_embedding(stream, ids.view(), table_there.view(), kScale, y_there.view());
  ids.view()(0) = 1;  // too late to matter
  const auto y = to_host(stream, y_there.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));
}

TYPED_TEST(CudaTokenEmbeddingOf, RejectsIdsOfTheHostThatAreNoRow) {
  const auto table = random<TypeParam, 2>({3, 8}, 1);
  const cuda::Stream stream;
  const auto table_there = to_device(stream, table.view());
  cuda::DeviceBuffer<float, 2> y({2, 8});
  for (const TokenId id : {-1, 3}) {
    EXPECT_THROW(
        token_embedding(stream, ids_of({2, id}).view(), table_there.view(), kScale, y.view()),
        ContractError);
  }
  EXPECT_NO_THROW(
      token_embedding(stream, ids_of({2, 0}).view(), table_there.view(), kScale, y.view()));
  stream.wait();
}

TYPED_TEST(CudaTokenEmbeddingOf, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<TokenId, 1> ids({2});
  const cuda::DeviceBuffer<TypeParam, 2> table({3, 7});
  cuda::DeviceBuffer<float, 2> y({2, 7}), wider({2, 8});
  EXPECT_THROW(token_embedding(stream, ids.view(), table.view(), kScale, wider.view()),
               ContractError);
  EXPECT_THROW(token_embedding(stream, ids.view(), table.view(), kScale, y.view(),
                               TokenEmbeddingKernel::thread_per_pack),
               ContractError);
}

}  // namespace
}  // namespace paligemma
