#include "zeta/relative_position.h"

#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/zeta_tables.h"

namespace paligemma {
namespace {

using namespace test;

std::vector<Index> buckets_of(Index first, Index last, bool causal, Index buckets, Index far) {
  std::vector<Index> all;
  for (Index d = first; d <= last; ++d) {
    all.push_back(relative_position_bucket(d, causal, buckets, far));
  }
  return all;
}

// docs/zeta/relative_position.md, "By hand": 6 buckets, the last from a distance of 9 on.
TEST(RelativePosition, WorkedExample) {
  EXPECT_EQ(buckets_of(-10, 2, true, 6, 9),
            (std::vector<Index>{5, 5, 5, 5, 4, 4, 3, 3, 2, 1, 0, 0, 0}));
  const auto weights = rows_of({{0}, {1}, {2}, {3}, {4}, {5}});
  const DistanceTable table = relative_position_table(weights.view(), 4, true, 9);
  EXPECT_EQ(table.first_distance, -9);
  EXPECT_TRUE(
      close(table.bias.view(), rows_of({{10, 10, 10, 8, 8, 6, 6, 4, 2, 0}}).view(), kExact));
}

TEST(RelativePosition, HasTheBucketsOfZeta) {
  const auto expect = [](const std::string& name, const std::vector<Index>& actual) {
    const std::vector<float> expected = zeta_table("out/" + name).numbers;
    EXPECT_EQ(std::vector<float>(actual.begin(), actual.end()), expected) << name;
  };
  expect("buckets_causal", buckets_of(-200, 200, true, 32, 128));
  expect("buckets_both_ways", buckets_of(-200, 200, false, 32, 128));
  expect("buckets_causal_6_9", buckets_of(-200, 200, true, 6, 9));
}

// The buckets of T5 itself.
TEST(RelativePosition, SeesNearKeysOneByOneAndFarOnesTogether) {
  const auto causal = [](Index n) { return relative_position_bucket(-n, true, 32, 128); };
  for (Index n = 0; n < 16; ++n) EXPECT_EQ(causal(n), n);
  for (const auto& [n, bucket] : std::vector<std::pair<Index, Index>>{{16, 16},
                                                                      {18, 16},
                                                                      {19, 17},
                                                                      {20, 17},
                                                                      {21, 18},
                                                                      {31, 21},
                                                                      {32, 21},
                                                                      {33, 21},
                                                                      {63, 26},
                                                                      {64, 26},
                                                                      {112, 30},
                                                                      {113, 31},
                                                                      {127, 31},
                                                                      {128, 31},
                                                                      {129, 31},
                                                                      {1'000'000, 31}}) {
    EXPECT_EQ(causal(n), bucket) << "distance " << n;
  }
}

TEST(RelativePosition, ACausalKeyAfterTheQueryIsInTheFirstBucket) {
  for (Index d : {1, 2, 1000}) EXPECT_EQ(relative_position_bucket(d, true, 32, 128), 0);
}

// 5 ln 2 / ln 32 is 1: in float a bucket begins at twice 5, in double (0.99999...) after it.
TEST(RelativePosition, FallsOnTheEdgeOfABucketAsInFloat) {
  const auto causal = [](Index n) { return relative_position_bucket(-n, true, 10, 160); };
  for (const auto& [n, bucket] : std::vector<std::pair<Index, Index>>{
           {9, 5}, {10, 6}, {19, 6}, {20, 7}, {39, 7}, {40, 8}, {79, 8}, {80, 9}}) {
    EXPECT_EQ(causal(n), bucket) << "distance " << n;
  }
  EXPECT_EQ(relative_position_bucket(-15, false, 32, 128), 9);
  EXPECT_EQ(relative_position_bucket(-16, false, 32, 128), 10);
}

TEST(RelativePosition, HasAsManyBucketsBehindAsBefore) {
  EXPECT_EQ(relative_position_bucket(0, false, 32, 128), 0);
  for (Index n = 1; n <= 300; ++n) {
    EXPECT_EQ(relative_position_bucket(n, false, 32, 128),
              16 + relative_position_bucket(-n, false, 32, 128));
  }
}

// An odd one of both ways is never used.
TEST(RelativePosition, HasTheSameBucketsForAnEvenNumberAndTheNext) {
  EXPECT_EQ(buckets_of(-40, 40, false, 8, 20), buckets_of(-40, 40, false, 9, 20));
}

// What attention reads beyond the ends of the table is what the bucket of that distance says.
TEST(RelativePosition, TheTableIsLongEnough) {
  for (Index buckets : {4, 6, 7, 8, 32, 33, 255}) {
    for (Index far : {128, 129, 257}) {
      for (bool causal : {true, false}) {
        const auto weights = random<float, 2>({buckets, 3}, 1);
        const DistanceTable table = relative_position_table(weights.view(), 7, causal, far);
        EXPECT_EQ(table.bias.view().size(1), causal ? far + 1 : 2 * far + 1);
        const DistanceBiasOfKernel bias(table.view(400));
        Buffer<float, 1> actual({801}), expected({801});
        for (Index n = 0; n < 3; ++n) {
          for (Index s = 0; s <= 800; ++s) {
            const Index bucket = relative_position_bucket(s - 400, causal, buckets, far);
            actual.view()(s) = bias.at(0, n, s);
            expected.view()(s) = weights.view()(bucket, n) * static_cast<float>(std::sqrt(7.0));
          }
          EXPECT_TRUE(close(actual.view(), expected.view(), kExact))
              << buckets << " buckets, far " << far << ", causal " << causal << ", head " << n;
        }
      }
    }
  }
}

TEST(RelativePosition, NeverComesNearerWithDistance) {
  for (Index buckets : {2, 6, 31, 32, 255}) {
    for (Index far : {130, 200, 1000}) {
      Index before = 0;
      for (Index n = 0; n <= 1100; ++n) {
        const Index bucket = relative_position_bucket(-n, true, buckets, far);
        EXPECT_GE(bucket, before);
        before = bucket;
      }
      EXPECT_EQ(before, buckets - 1);
    }
  }
}

TEST(RelativePosition, RejectsBucketsThatCannotBe) {
  EXPECT_THROW(relative_position_bucket(0, true, 1, 128), ContractError);
  EXPECT_THROW(relative_position_bucket(0, false, 3, 128), ContractError);
  EXPECT_THROW(relative_position_bucket(0, true, 32, 16), ContractError);
  EXPECT_THROW(relative_position_bucket(0, false, 32, 8), ContractError);
  EXPECT_NO_THROW(relative_position_bucket(0, true, 2, 2));
  EXPECT_NO_THROW(relative_position_bucket(0, false, 32, 9));
}

}  // namespace
}  // namespace paligemma
