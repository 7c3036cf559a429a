#include "train/side_by_side.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/support/compare.h"
#include "tests/support/dense.h"
#include "tests/support/learners.h"

namespace paligemma {
namespace {

using namespace test;

// Three sequences about pictures 1, 0 and 1 again; nobody asks about picture 2.
TrainingBatch three(TrainingGolden& golden) {
  TrainingBatch batch = golden.batch({0, 1, 2});
  batch.shown = {1, 0, 1};
  batch.number = 7;
  return batch;
}

std::vector<TrainingBatch> split(TrainingGolden& golden, const TrainingBatch& batch, Index parts) {
  return split(batch, parts, golden.config.vision.patches(), golden.config.image_token);
}

TEST(Split, IsOfWholeSequencesWithTheirPictures) {
  TrainingGolden golden(1);
  TrainingBatch batch = three(golden);
  batch.next.scale = {1, 5, 2.0f};
  const auto parts = split(golden, batch, 100);
  ASSERT_EQ(parts.size(), 3u);
  Index row = 0;
  std::size_t next = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const TrainingBatch& part = parts[i];
    ASSERT_EQ(part.segments.size(), 1u);
    EXPECT_EQ(part.segments[0].T, batch.segments[i].T);
    EXPECT_EQ(part.segments[0].prefix, batch.segments[i].prefix);
    EXPECT_EQ(part.first_row, row);
    EXPECT_EQ(part.number, 7u);
    EXPECT_EQ(part.next.scale.width, 2.0f);
    EXPECT_TRUE(std::ranges::equal(
        part.ids, std::span(batch.ids).subspan(static_cast<std::size_t>(row), part.ids.size())));
    EXPECT_EQ(part.shown, std::vector<Index>{0});
    ASSERT_EQ(part.pixels.view().size(0), 1);
    EXPECT_TRUE(close(part.pixels.view().row(0), batch.pixels.view().row(batch.shown[i]), kExact));
    for (std::size_t k = 0; k < part.next.rows.size(); ++k, ++next) {
      EXPECT_EQ(part.next.rows[k] + row, batch.next.rows[next]);
      EXPECT_EQ(part.next.targets[k], batch.next.targets[next]);
      EXPECT_EQ(part.next.weights[k], batch.next.weights[next]);
    }
    row += part.segments[0].T;
  }
  EXPECT_EQ(next, batch.next.rows.size());
}

TEST(Split, HasNoMorePartsThanSequencesAndPicturesOnce) {
  TrainingGolden golden(1);
  TrainingBatch batch = three(golden);
  EXPECT_EQ(split(golden, batch, 100).size(), 3u);
  const auto one = split(golden, batch, 1);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].pixels.view().size(0), 2);
  EXPECT_EQ(one[0].shown, batch.shown);
  batch.shown.clear();  // all three in their order
  EXPECT_EQ(split(golden, batch, 1)[0].shown, (std::vector<Index>{0, 1, 2}));
}

TEST(Split, RefusesADenseHeadsBatchAndRowsInAnotherOrder) {
  TrainingGolden golden(1);
  TrainingBatch batch = three(golden);
  std::swap(batch.next.rows.front(), batch.next.rows.back());
  EXPECT_THROW(split(golden, batch, 2), ContractError);
  TrainingBatch dense = three(golden);
  dense.dense.emplace();
  EXPECT_THROW(split(golden, dense, 2), ContractError);
}

// Within the rounding of sums in another order; what comes to nothing, as the bias of keys does, is the rounding alone.
void expect_alike(const std::vector<std::vector<float>>& found,
                  const std::vector<std::vector<float>>& expected, float times = 1) {
  float largest = 0;
  for (const auto& numbers : expected) {
    for (const float number : numbers) largest = std::max(largest, std::abs(number));
  }
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (std::size_t k = 0; k < found[i].size(); ++k) {
      ASSERT_NEAR(found[i][k], times * expected[i][k], 4e-6f * largest) << i;
    }
  }
}

// As many learners as sequences, fewer, more; with dropout, which does not know who learns what.
TEST(SideBySide, LearnsWhatOneLearns) {
  const auto all = [](const std::string&) { return true; };
  const LearnerOptions options{.rule = {.smoothing = 0.1f, .dropout = 0.2f, .seed = 3}};
  TrainingGolden golden(1);
  Parameters alone(golden.checkpoint, golden.config, all);
  const auto learner = make_learner(reference, golden.config, alone, options);
  const TrainingBatch batch = three(golden);
  const double loss = learner->learn(batch), validation = learner->loss(batch);
  const auto expected = gradients_of(alone);
  for (const Index count : {1, 2, 3, 5}) {
    SCOPED_TRACE(count);
    Parameters parameters(golden.checkpoint, golden.config, all);
    SideBySide some(count, golden.config, parameters, options, [&](const LearnerOptions& its) {
      return make_learner(reference, golden.config, parameters, its);
    });
    for (const int time : {1, 2}) {  // gradients are added, and nothing is left of the time before
      EXPECT_NEAR(some.learn(batch), loss, 1e-6 * loss);
      expect_alike(gradients_of(parameters), expected, static_cast<float>(time));
    }
    EXPECT_NEAR(some.loss(batch), validation, 1e-6 * validation);
  }
}

// Batches are learned whole, where there are enough of them; each has its head's targets.
TEST(SideBySide, LearnsBatchesWithADenseHead) {
  TrainingGolden golden(1);
  const Index C = dense_targets_of(1).columns(), D = golden.config.vision.width;
  std::vector<TrainingBatch> batches;
  for (const std::size_t line : {0u, 1u, 2u}) {
    batches.push_back(golden.batch({line}));
    batches.back().dense = dense_targets_of(golden.config.vision.patches());
  }
  std::vector<std::vector<float>> gradients[2];
  double losses[2];
  for (const bool is_shared : {false, true}) {
    Parameters parameters(golden.checkpoint, golden.config,
                          [](const std::string&) { return true; });
    parameters.add("dense_head.weight", {C, D});
    parameters.add("dense_head.bias", {C});
    Parameter &head = *parameters.find("dense_head.weight"),
              &bias = *parameters.find("dense_head.bias");
    const LearnerOptions options{
        .head = DenseHead{{head.value.view(), bias.value.view().row(0)},
                          {head.gradient.view(), bias.gradient.view().row(0)}}};
    const auto make = [&](const LearnerOptions& its) {
      return make_learner(reference, golden.config, parameters, its);
    };
    if (is_shared) {
      losses[1] = SideBySide(2, golden.config, parameters, options, make).learn_all(batches);
    } else {
      losses[0] = make(options)->learn_all(batches);
    }
    gradients[is_shared] = gradients_of(parameters);
  }
  EXPECT_NEAR(losses[1], losses[0], 1e-6 * losses[0]);
  expect_alike(gradients[1], gradients[0]);
}

TEST(SideBySide, EachLearnerHasSumsOfItsOwn) {
  TrainingGolden golden(1);
  Parameters parameters(golden.checkpoint, golden.config, [](const std::string&) { return true; });
  std::set<GradientSums*> sums;
  const SideBySide some(3, golden.config, parameters, {}, [&](const LearnerOptions& its) {
    sums.insert(its.sums);
    return make_learner(reference, golden.config, parameters, its);
  });
  EXPECT_EQ(sums.size(), 3u);
  EXPECT_TRUE(sums.contains(nullptr));  // the first one's are the parameters' gradients
}

TEST(SideBySide, ThrowsWhatOneThrows) {
  TrainingGolden golden(1);
  Parameters parameters(golden.checkpoint, golden.config, [](const std::string&) { return true; });
  SideBySide some(2, golden.config, parameters, {}, [&](const LearnerOptions& its) {
    return make_learner(reference, golden.config, parameters, its);
  });
  TrainingBatch batch = three(golden);
  batch.next.targets.back() = static_cast<TokenId>(golden.config.text.vocabulary);
  EXPECT_THROW(some.learn(batch), ContractError);
}

TEST(SideBySide, LearnsNoAdapters) {
  TrainingGolden golden(1);
  Parameters parameters(golden.checkpoint, golden.config, all_linear());
  EXPECT_THROW(SideBySide(2, golden.config, parameters, {},
                          [&](const LearnerOptions& its) {
                            return make_learner(reference, golden.config, parameters, its);
                          }),
               ContractError);
}

}  // namespace
}  // namespace paligemma
