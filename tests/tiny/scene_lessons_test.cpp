#include "tiny/scene_lessons.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "paligemma/pipeline.h"
#include "processing/prompt.h"
#include "processing/write_image.h"
#include "tensor/errors.h"
#include "tests/support/compare.h"
#include "tests/support/source_dir.h"
#include "tests/support/temporary_folder.h"
#include "world/curriculum.h"

namespace paligemma::tiny {
namespace {

using namespace test;
using world::Question;
using world::Split;

// Five pictures a step, of which the last stands alone; coordinates as narrow as they become from step 6 on.
constexpr Stage kStage{.name = "tried",
                       .pictures = 5,
                       .at_once = 2,
                       .rate = 1,
                       .matrix_rate = 1,
                       .schedule = {.steps = 10},
                       .first_scene = 2000,
                       .texts = 0.4,
                       .asks = true,
                       .hard = true,
                       .settles = 0.5};

struct Asked {
  Index picture;
  std::vector<TokenId> ids;
  std::size_t prefix;
  std::vector<double> weights;  // before they are brought to a sum of 1
};

class SceneLessonsTest : public ::testing::Test {
 protected:
  static inline const std::filesystem::path kModel = source_dir() + "/models/tiny";

  SceneLessons lessons(const Stage& stage = kStage, const std::filesystem::path& photos = {}) {
    return {stage, config_, tokenizer_, masks_, photos};
  }

  // The answer as it is said, masks and all; without codes any will do for them.
  std::string said(const DrawnScene& drawn, std::string answer, bool has_codes) const {
    for (std::size_t at; (at = answer.find('{')) != answer.npos;) {
      const auto thing = static_cast<std::size_t>(answer[at + 1] - '0');
      std::string tokens;
      std::array<int, 16> codes{};
      if (has_codes) codes = masks_.encode(small_mask(drawn.scene, drawn.truth, thing).view());
      for (const int code : codes) {
        const std::string number = std::to_string(1000 + code);
        tokens += "<seg" + number.substr(1) + ">";
      }
      answer.replace(at, 3, tokens);
    }
    return answer;
  }
  Asked asked(Index picture, const DrawnScene& drawn, const Question& question,
              bool has_codes = true) const {
    Asked asked{picture, make_prompt(tokenizer_, question.prompt, 64).ids, 0, {}};
    asked.prefix = asked.ids.size();
    std::vector<TokenId> answer = tokenizer_.encode(said(drawn, question.answer, has_codes));
    answer.push_back(tokenizer_.eos());
    for (const TokenId id : answer) {
      asked.ids.push_back(id);
      const bool is_mask = tokenizer_.piece(id).starts_with("<seg");
      asked.weights.push_back((is_mask ? 0.3 : 1) / std::sqrt(static_cast<double>(answer.size())));
    }
    return asked;
  }

  Config config_ = read_config(kModel);
  Tokenizer tokenizer_{kModel, config_.image_token, static_cast<TokenId>(config_.text.vocabulary)};
  MaskEncoder masks_{kModel / "vae-oid.npz"};
};

// Ids, segments, rows and targets of sequences one behind the other, as of any batch (train/batch.h).
void expect_sequences(const TrainingBatch& batch, const std::vector<Asked>& all) {
  std::vector<TokenId> ids, targets;
  std::vector<Index> shown, rows;
  for (const Asked& asked : all) {
    for (std::size_t t = asked.prefix; t < asked.ids.size(); ++t) {
      rows.push_back(std::ssize(ids) + static_cast<Index>(t) - 1);
      targets.push_back(asked.ids[t]);
    }
    ids.insert(ids.end(), asked.ids.begin(), asked.ids.end());
    shown.push_back(asked.picture);
  }
  EXPECT_EQ(batch.ids, ids);
  EXPECT_EQ(batch.shown, shown);
  EXPECT_EQ(batch.next.rows, rows);
  EXPECT_EQ(batch.next.targets, targets);
  EXPECT_EQ(batch.next.weights.size(), rows.size());
  ASSERT_EQ(batch.segments.size(), all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(batch.segments[i].first, 0);
    EXPECT_EQ(batch.segments[i].T, std::ssize(all[i].ids));
    EXPECT_EQ(batch.segments[i].prefix, static_cast<Index>(all[i].prefix));
  }
}

double weights_of(const std::vector<TrainingBatch>& batches) {
  double sum = 0;
  for (const TrainingBatch& batch : batches) {
    for (const float weight : batch.next.weights) sum += double{weight};
  }
  return sum;
}
double dense_weight_of(const std::vector<TrainingBatch>& batches) {
  double sum = 0;
  for (const TrainingBatch& batch : batches) {
    for (const float weight : batch.dense->names[0].weights) sum += double{weight};
  }
  return sum;
}

void expect_same(const std::vector<TrainingBatch>& a, const std::vector<TrainingBatch>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(close(a[i].pixels.view(), b[i].pixels.view(), kExact));
    EXPECT_EQ(a[i].ids, b[i].ids);
    EXPECT_EQ(a[i].shown, b[i].shown);
    EXPECT_EQ(a[i].next.weights, b[i].next.weights);
    EXPECT_EQ(a[i].dense->measures[0].values, b[i].dense->measures[0].values);
    EXPECT_EQ(a[i].dense->names[2].weights, b[i].dense->names[2].weights);
  }
}

// ---- a step ----------------------------------------------------------------------------------------

// All of a step, from its scenes and what the curriculum asks about each.
TEST_F(SceneLessonsTest, AreQuestionsAboutNewScenes) {
  SceneLessons tried = lessons();
  const SceneSource scenes(Split::train, kStage.texts);
  int masks = 0;
  for (const Index step : {1, 2}) {
    const std::vector<TrainingBatch> batches = tried.of_step(step);
    ASSERT_EQ(batches.size(), 3u);
    double sum = 0;
    std::vector<std::vector<Asked>> all(3);
    std::vector<PatchTruth> patches;
    for (Index i = 0; i < 5; ++i) {
      DrawnScene drawn = scenes.at(2000 + static_cast<std::uint64_t>((step - 1) * 5 + i));
      const TrainingBatch& batch = batches[static_cast<std::size_t>(i / 2)];
      EXPECT_EQ(batch.pixels.view().size(0), i == 4 ? 1 : 2);
      const auto pixels = vision_pixels(config_, drawn.picture.view());
      EXPECT_TRUE(close(batch.pixels.view().row(i % 2), pixels.view(), kExact)) << i;
      for (const Question& question :
           world::training_questions(drawn.truth, 4, drawn.random, true)) {
        auto& some = all[static_cast<std::size_t>(i / 2)];
        some.push_back(asked(i % 2, drawn, question));
        for (const double weight : some.back().weights) sum += weight;
        masks += question.answer.find('{') != question.answer.npos;
      }
      patches.push_back(patch_truth(drawn.truth, 8));
    }
    for (std::size_t b = 0; b < 3; ++b) {
      expect_sequences(batches[b], all[b]);
      std::vector<TokenId> shapes = patches[2 * b].shape;
      if (b < 2) {
        shapes.insert(shapes.end(), patches[2 * b + 1].shape.begin(),
                      patches[2 * b + 1].shape.end());
      }
      EXPECT_EQ(batches[b].dense->names[0].targets, shapes);
      std::size_t at = 0;
      for (const Asked& one : all[b]) {
        for (const double weight : one.weights) {
          const double allowed = float_sum_of(200).relative * weight / sum;
          EXPECT_NEAR(double{batches[b].next.weights.at(at++)}, weight / sum, allowed);
        }
      }
    }
    EXPECT_NEAR(weights_of(batches), 1, float_sum_of(1000).relative);
  }
  EXPECT_GT(masks, 0);
}

TEST_F(SceneLessonsTest, OfAStepAreTheSameWhateverWasAskedBefore) {
  SceneLessons one = lessons(), other = lessons();
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto alone = one.of_step(2);
  omp_set_num_threads(3);
  const auto first = other.of_step(1), second = other.of_step(2);
  expect_same(second, alone);
  expect_same(one.of_step(2), alone);
  omp_set_num_threads(threads);
  EXPECT_NE(first[0].ids, second[0].ids);
}

TEST_F(SceneLessonsTest, AimAtNeighboursLessAndLess) {
  SceneLessons tried = lessons();
  const TokenId first = tokenizer_.encode("<loc0000>").front();
  struct At {
    Index step;
    double width, dense;
  };
  for (const At& at :
       {At{1, 20, 0.3}, At{3, 12, 0.18}, At{5, 4, 0.06}, At{6, 3, 0.03}, At{10, 3, 0.03}}) {
    const auto batches = tried.of_step(at.step);
    for (const TrainingBatch& batch : batches) {
      EXPECT_EQ(batch.next.scale.first, first);
      EXPECT_EQ(batch.next.scale.last, first + 1024);
      EXPECT_NEAR(double{batch.next.scale.width}, at.width, float_operations(4).relative * 20);
    }
    EXPECT_NEAR(dense_weight_of(batches), at.dense, float_sum_of(320).relative * at.dense)
        << at.step;
    EXPECT_NEAR(weights_of(batches), 1, float_sum_of(1000).relative);
  }
}

// ---- the vision tower alone ------------------------------------------------------------------------

struct ToldLearner : Learner {
  std::vector<std::size_t> asked;  // pictures
  std::vector<TokenId> first_ids;
  std::function<double(TokenId)> surprise = [](TokenId) { return 1; };

  double learn(const TrainingBatch&) override {
    ADD_FAILURE() << "nothing is to be learned";
    return 0;
  }
  double loss(const TrainingBatch& batch) override {
    if (asked.empty()) first_ids = batch.ids;
    asked.push_back(static_cast<std::size_t>(batch.pixels.view().size(0)));
    EXPECT_FALSE(batch.dense);
    EXPECT_EQ(batch.next.scale.width, 0);
    double sum = 0;
    for (std::size_t i = 0; i < batch.next.rows.size(); ++i) {
      sum += double{batch.next.weights[i]} * surprise(batch.next.targets[i]);
    }
    return sum;
  }
};

TEST_F(SceneLessonsTest, OfAStageWithoutQuestionsHaveNone) {
  Stage stage = kStage;
  stage.asks = false;
  SceneLessons tried = lessons(stage);
  for (const Index step : {1, 8}) {
    const auto batches = tried.of_step(step);
    ASSERT_EQ(batches.size(), 3u);
    for (const TrainingBatch& batch : batches) {
      EXPECT_TRUE(batch.ids.empty() && batch.shown.empty() && batch.segments.empty());
      EXPECT_TRUE(batch.next.rows.empty() && batch.next.weights.empty());
    }
    EXPECT_NEAR(dense_weight_of(batches), 1, float_sum_of(320).relative);
  }
  ToldLearner learner;
  EXPECT_FALSE(tried.validation_loss(learner));
  EXPECT_TRUE(learner.asked.empty());
}

// ---- validation ------------------------------------------------------------------------------------

TEST_F(SceneLessonsTest, AreValidatedByTheMeanOverTokensOfOtherScenes) {
  SceneLessons tried = lessons();
  ToldLearner learner;
  learner.surprise = [this](TokenId id) { return tokenizer_.seg(id) ? 5000 : id; };
  const double loss = tried.validation_loss(learner).value();
  EXPECT_EQ(learner.asked, std::vector<std::size_t>(16, 8));

  const SceneSource scenes(Split::validation, 0.25);
  std::vector<TokenId> ids;
  double sum = 0;
  int tokens = 0;
  for (std::uint64_t i = 0; i < 128; ++i) {
    const DrawnScene drawn = scenes.without_picture(i);
    for (const Question& question :
         world::evaluation_questions(drawn.truth, Split::validation, i)) {
      const Asked one = asked(0, drawn, question, i < 8);
      if (i < 8) ids.insert(ids.end(), one.ids.begin(), one.ids.end());
      for (std::size_t t = one.prefix; t < one.ids.size(); ++t, ++tokens) {
        sum += learner.surprise(one.ids[t]);
      }
    }
  }
  EXPECT_EQ(learner.first_ids, ids);
  EXPECT_NEAR(loss, sum / tokens, 1e-9 * loss);
  EXPECT_EQ(tried.validation_loss(learner).value(), loss);
  EXPECT_EQ(learner.asked.size(), 32u);
}

// ---- photographs -----------------------------------------------------------------------------------

TEST_F(SceneLessonsTest, ShowPhotosToo) {
  const TemporaryFolder folder;
  RgbImage grey({9, 9, 3});
  std::fill_n(grey.view().data(), grey.view().count(), std::uint8_t{100});
  write_image(folder / "grey.png", grey.view());
  const SceneSource scenes(Split::train, kStage.texts, folder.path());
  Stage stage = kStage;
  while (!scenes.without_picture(stage.first_scene).is_photo) ++stage.first_scene;
  const auto batches = lessons(stage, folder.path()).of_step(1);
  const auto pixels = vision_pixels(config_, grey.view());
  EXPECT_TRUE(close(batches[0].pixels.view().row(0), pixels.view(), kExact));
  EXPECT_EQ(std::count(batches[0].dense->names[0].targets.begin(),
                       batches[0].dense->names[0].targets.begin() + 64, world::kShapes),
            64);
  EXPECT_FALSE(batches[0].ids.empty());
  EXPECT_THROW(lessons(kStage, folder / "nowhere"), NotFoundError);
}

}  // namespace
}  // namespace paligemma::tiny
