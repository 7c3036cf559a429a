#include "train/gradients.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "paligemma/checkpoint.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/dense.h"
#include "tests/support/error_text.h"
#include "tests/support/gradients.h"
#include "tests/support/training_golden.h"
#include "train/parameters.h"

namespace paligemma {
namespace {

using namespace test;

class Gradients : public ::testing::TestWithParam<int> {
 protected:
  TrainingGolden golden_{GetParam()};
  Parameters parameters_{golden_.checkpoint, golden_.config,
                         [](const std::string&) { return true; }};
  Model<Reference, HostWeights<float>> model_{reference, golden_.config.vision, golden_.config.text,
                                              golden_.config.image_token, parameters_.weights()};

  static double norm_of(const Parameter& parameter) {
    double sum = 0;
    const auto numbers = parameter.gradient.view();
    for (Index i = 0; i < numbers.count(); ++i) sum += std::pow(double{numbers.data()[i]}, 2);
    return std::sqrt(sum);
  }

  // The weights of the layer that A is beside.
  Parameter& layer_of(const Parameter& a) {
    for (Parameter& parameter : parameters_.all()) {
      const std::string layer = parameter.name.substr(0, parameter.name.rfind('.'));
      if (parameter.is_matrix() && peft_module(layer) + ".lora_A.weight" == a.name) {
        return parameter;
      }
    }
    throw ContractError("no layer of " + a.name);
  }
  static Buffer<float, 2> turned(View<const float, 2> from) {
    Buffer<float, 2> to({from.size(1), from.size(0)});
    turn_lora(from, 1, to.view());
    return to;
  }
  static Doubles product(double scale, View<const float, 2> left, View<const float, 2> right) {
    Doubles all;
    for (Index i = 0; i < left.size(0); ++i) {
      for (Index j = 0; j < right.size(1); ++j) {
        double sum = 0;
        for (Index k = 0; k < left.size(1); ++k) sum += double{left(i, k)} * right(k, j);
        all.push_back(scale * sum);
      }
    }
    return all;
  }
  // W + s B A in the place of W.
  void merge(const Parameter& a, const Parameter& b, double scale) {
    const auto w = layer_of(a).value.view();
    const Doubles change = product(scale, b.value.view(), a.value.view());
    for (Index i = 0; i < w.count(); ++i) {
      w.data()[i] += static_cast<float>(change[static_cast<std::size_t>(i)]);
    }
  }
  static void expect_near_largest(const Parameter& parameter, const Doubles& expected,
                                  double tolerance) {
    double largest = 0, worst = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      largest = std::max(largest, std::abs(expected[i]));
      worst = std::max(worst, std::abs(parameter.gradient.view().data()[i] - expected[i]));
    }
    EXPECT_LE(worst, tolerance * largest) << parameter.name;
  }

  double run(const TrainingBatch& batch, const LearningRule& rule = {},
             const DenseHead* head = nullptr) {
    parameters_.zero();
    return gradients(reference, model_, batch, rule, parameters_.gradients(), head);
  }
  // Nearly the numbers that are there now: sums of another order, through the whole tower.
  void expect_near(const std::vector<std::vector<float>>& expected, double tolerance) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const Parameter& parameter = parameters_.all()[i];
      if (parameter.name.ends_with("k_proj.bias")) continue;  // vanishes
      expect_near_largest(parameter, Doubles(expected[i].begin(), expected[i].end()), tolerance);
    }
  }
  // Four sequences, each about the picture that is named; each picture once for each sequence.
  TrainingBatch repeated(const std::vector<Index>& pictures) const {
    TrainingBatch batch = golden_.batch({0, 1, 2, 3});
    const TrainingBatch whole = golden_.batch({0, 1, 2, 3});
    for (Index i = 0; i < 4; ++i) {
      const auto from = whole.pixels.view().row(pictures[static_cast<std::size_t>(i)]);
      std::copy_n(from.data(), from.count(), batch.pixels.view().row(i).data());
    }
    return batch;
  }
  // Of the pictures and the dense head alone.
  TrainingBatch without_words(const DenseTargets& targets) const {
    TrainingBatch batch = golden_.batch({0, 1});
    batch.ids.clear();
    batch.segments.clear();
    batch.next = {};
    batch.dense = targets;
    return batch;
  }
  DenseTargets targets() const { return dense_targets_of(2 * golden_.config.vision.patches()); }
  std::vector<std::vector<float>> numbers() const {
    std::vector<std::vector<float>> all;
    for (const Parameter& parameter : parameters_.all()) {
      const auto numbers = parameter.gradient.view();
      all.emplace_back(numbers.data(), numbers.data() + numbers.count());
    }
    return all;
  }
};
INSTANTIATE_TEST_SUITE_P(Golden, Gradients, ::testing::Values(1, 2));

// torch's own in float32 are within 8e-5 of those in float64, which are stored. The gradient of a key's bias is 0 but
// for roundings: it moves all scores of a query alike.
TEST_P(Gradients, AreTorchs) {
  const double loss = run(golden_.batch({0, 1}));
  EXPECT_NEAR(loss, golden_.losses[0], 1e-5 * golden_.losses[0]);
  double largest_of_all = 0;
  for (const auto& [name, expected] : golden_.gradients) {
    for (const float number : expected) {
      largest_of_all = std::max(largest_of_all, std::abs(double{number}));
    }
  }
  for (const Parameter& parameter : parameters_.all()) {
    const std::vector<float>& expected = golden_.gradients.at(parameter.name);
    double largest = 0, worst = 0;
    const float* const numbers = parameter.gradient.view().data();
    for (std::size_t i = 0; i < expected.size(); ++i) {
      largest = std::max(largest, std::abs(double{expected[i]}));
      worst = std::max(worst, std::abs(double{numbers[i]} - double{expected[i]}));
    }
    const bool vanishes = largest < 1e-9 * largest_of_all;
    EXPECT_EQ(vanishes, parameter.name.ends_with("k_proj.bias")) << parameter.name;
    EXPECT_LT(worst, vanishes ? 1e-6 * largest_of_all : 1e-4 * largest) << parameter.name;
  }
  EXPECT_EQ(parameters_.all().size(), golden_.gradients.size());
}

// Bit for bit: what is computed again is computed alike, and leaves out the same.
TEST_P(Gradients, AreTheSameComputedAgain) {
  const TrainingBatch batch = golden_.batch({0, 1, 2});
  for (const float rate : {0.0f, 0.2f}) {
    LearningRule rule{.dropout = rate, .seed = 1};
    const double loss = run(batch, rule);
    const auto kept = numbers();
    rule.recompute = Recompute::blocks;
    EXPECT_EQ(run(batch, rule), loss);
    const auto again = numbers();
    for (std::size_t i = 0; i < kept.size(); ++i) {
      EXPECT_EQ(std::memcmp(again[i].data(), kept[i].data(), kept[i].size() * sizeof(float)), 0)
          << parameters_.all()[i].name;
    }
  }
}

// The loss is computed again with a tensor moved along its gradient, as little as float's roundings allow. What it is
// of: words, the picture's way in, and weights on either side of what is left out.
TEST_P(Gradients, AreTheSlopeWithDropout) {
  TrainingBatch batch = golden_.batch({0, 1});
  batch.number = 3;
  const LearningRule rule{.dropout = 0.2f, .seed = 5};
  run(batch, rule);
  const auto gradients_there = numbers();
  int moved = 0;
  for (std::size_t i = 0; i < parameters_.all().size(); ++i) {
    Parameter& parameter = parameters_.all()[i];
    const bool is_moved = parameter.name.ends_with("embed_tokens.weight") ||
                          parameter.name.ends_with("multi_modal_projector.linear.weight") ||
                          parameter.name.find("language_model.model.layers.0.") == 0 ||
                          parameter.name.ends_with("encoder.layers.0.mlp.fc1.weight");
    if (!is_moved) continue;
    ++moved;
    const std::vector<float>& g = gradients_there[i];
    double length = 0;
    for (const float number : g) length += double{number} * double{number};
    length = std::sqrt(length);
    const auto w = parameter.value.view();
    const std::vector<float> before(w.data(), w.data() + w.count());
    const auto loss_at = [&](double step) {
      for (std::size_t k = 0; k < g.size(); ++k) {
        w.data()[k] = before[k] + static_cast<float>(step / length * double{g[k]});
      }
      parameters_.refresh();
      const double loss = run(batch, rule);
      std::copy(before.begin(), before.end(), w.data());
      return loss;
    };
    const double step = 2e-3 / length;
    const double slope = (loss_at(step) - loss_at(-step)) / (2 * step);
    EXPECT_NEAR(slope, length, 0.02 * length) << parameter.name;
  }
  parameters_.refresh();
  EXPECT_GE(moved, 11);
}

// What is left out depends on the seed of the run and the number of the batch, and a validation leaves out nothing.
TEST_P(Gradients, LeaveOutByTheSeedAndTheBatchsNumber) {
  TrainingBatch batch = golden_.batch({0, 1});
  const LearningRule rule{.dropout = 0.2f, .seed = 5};
  const double plain = run(batch), loss = run(batch, rule);
  const auto kept = numbers();
  EXPECT_NE(loss, plain);
  EXPECT_EQ(run(batch, rule), loss);
  EXPECT_EQ(numbers(), kept);
  EXPECT_NE(run(batch, {.dropout = 0.2f, .seed = 6}), loss);
  EXPECT_EQ(loss_of(reference, model_, batch), plain);
  batch.number = 1;
  EXPECT_NE(run(batch, rule), loss);
  EXPECT_EQ(run(batch), plain);
  EXPECT_EQ(loss_of(reference, model_, batch), plain);
}

// The first of two sequences leaves out what it would by itself, the second one something else.
TEST_P(Gradients, LeaveOutAnewForEachSequence) {
  const LearningRule rule{.dropout = 0.2f, .seed = 5};
  const double once = run(golden_.batch({0}), rule), twice = run(golden_.batch({0, 0}), rule);
  EXPECT_NE(twice, once);
  TrainingBatch first = golden_.batch({0, 0});
  const std::size_t learned = first.next.weights.size() / 2;
  for (std::size_t i = learned; i < 2 * learned; ++i) first.next.weights[i] = 0;
  EXPECT_NEAR(run(first, rule), once / 2, 1e-6 * once);
}

TEST_P(Gradients, RefuseARateThatIsNone) {
  for (const float rate : {-0.1f, 1.0f}) {
    EXPECT_THROW(run(golden_.batch({0}), {.dropout = rate}), ContractError) << rate;
  }
}

// A batch that comes in parts is summed up; the weights of its tokens are those of the whole.
TEST_P(Gradients, AddUpOverPartsOfABatch) {
  const TrainingBatch whole = golden_.batch({0, 1});
  const double loss = run(whole);
  std::vector<double> length;
  for (const Parameter& parameter : parameters_.all()) length.push_back(norm_of(parameter));
  TrainingBatch first = golden_.batch({0}), second = golden_.batch({1});
  for (TrainingBatch* part : {&first, &second}) {
    part->next.weights.assign(part->next.weights.size(), whole.next.weights[0]);
  }
  double sum = run(first);
  sum += gradients(reference, model_, second, {}, parameters_.gradients());
  EXPECT_NEAR(sum, loss, 1e-6 * loss);
  for (std::size_t i = 0; i < length.size(); ++i) {
    const Parameter& parameter = parameters_.all()[i];
    if (parameter.name.ends_with("k_proj.bias")) continue;
    EXPECT_NEAR(norm_of(parameter), length[i], 1e-4 * length[i]) << parameter.name;
  }
}

// The loss is a line over the smoothing, and its gradients are, too.
TEST_P(Gradients, AreOfTheSmoothedLoss) {
  const TrainingBatch batch = golden_.batch({0, 1});
  std::vector<double> losses, numbers;
  for (const float smoothing : {0.0f, 0.25f, 0.5f}) {
    parameters_.zero();
    losses.push_back(
        gradients(reference, model_, batch, {.smoothing = smoothing}, parameters_.gradients()));
    numbers.push_back(parameters_.gradients().text.final_norm(0));
  }
  EXPECT_GT(std::abs(losses[2] - losses[0]), 1e-3);
  EXPECT_NE(numbers[2], numbers[0]);
  EXPECT_NEAR(losses[0] + losses[2], 2 * losses[1], 1e-5 * losses[1]);
  EXPECT_NEAR(numbers[0] + numbers[2], 2 * numbers[1], 1e-5 * (std::abs(numbers[1]) + 1e-2));
}

// What is frozen costs nothing, and what is learned beside it learns the same.
TEST_P(Gradients, AreTheSameWhereOthersAreFrozen) {
  const TrainingBatch batch = golden_.batch({0, 1});
  run(batch);
  for (const std::string part : {"language_model.model.layers.1.", "multi_modal_projector.",
                                 "vision_tower.encoder.layers.0.self_attn.k_proj.weight"}) {
    Checkpoint checkpoint(golden_.folder, golden_.config);
    Parameters some(checkpoint, golden_.config,
                    [&](const std::string& name) { return name.starts_with(part); });
    gradients(reference, model_, batch, {}, some.gradients());
    EXPECT_FALSE(some.all().empty());
    for (const Parameter& parameter : some.all()) {
      for (const Parameter& whole : parameters_.all()) {
        if (whole.name != parameter.name) continue;
        EXPECT_TRUE(close(parameter.gradient.view(), whole.gradient.view(), kExact)) << whole.name;
      }
    }
  }
}

// Of W + s B A the gradients of A and B follow from that of the whole matrix: dA = s B^T dW, dB = s dW A^T. At B = 0,
// where training begins, the two models compute the same bits; else the sums of W + s B A are rounded apart, which
// grows in these checkpoints.
TEST_P(Gradients, OfAdaptersFollowFromThoseOfTheirLayers) {
  const TrainingBatch batch = golden_.batch({0, 1});
  Checkpoint checkpoint(golden_.folder, golden_.config);
  const LoraRule rule{.rank = 3, .alpha = 2, .is_target = lora_targets("all-linear"), .seed = 1};
  Parameters adapters(checkpoint, golden_.config, rule);
  const Model<Reference, HostWeights<float>> adapted{
      reference, golden_.config.vision, golden_.config.text, golden_.config.image_token,
      adapters.weights()};
  const double first = run(batch);
  for (const bool begins : {true, false}) {
    if (!begins) {
      for (std::size_t i = 1; i < adapters.all().size(); i += 2) {
        const auto b = adapters.all()[i].value.view();
        const auto random_b = random<float, 2>(b.shape(), static_cast<unsigned>(i));
        for (Index j = 0; j < b.count(); ++j) b.data()[j] = 0.01f * random_b.view().data()[j];
        merge(adapters.all()[i - 1], adapters.all()[i], rule.scale());
      }
      adapters.refresh();
    }
    const double loss = run(batch);
    EXPECT_EQ(loss == first, begins);
    adapters.zero();
    const double its_loss = gradients(reference, adapted, batch, {}, adapters.gradients());
    adapters.collect();
    const double tolerance = begins ? 1e-6 : 1e-3;
    EXPECT_NEAR(its_loss, loss, begins ? 0 : 1e-4 * loss);
    for (std::size_t i = 0; i < adapters.all().size(); i += 2) {
      const Parameter &a = adapters.all()[i], &b = adapters.all()[i + 1];
      const auto dw = std::as_const(layer_of(a)).gradient.view();
      expect_near_largest(a, product(rule.scale(), turned(b.value.view()).view(), dw), tolerance);
      expect_near_largest(b, product(rule.scale(), dw, turned(a.value.view()).view()), tolerance);
    }
  }
}

// Bit for bit, though nothing is kept of it, whether the tower is learned or runs as for an answer.
TEST_P(Gradients, HaveTheLossThatIsAskedForAlone) {
  const TrainingBatch batch = golden_.batch({0, 1, 2});
  const double loss = loss_of(reference, model_, batch);
  EXPECT_EQ(run(batch), loss);
  Checkpoint checkpoint(golden_.folder, golden_.config);
  Parameters none(checkpoint, golden_.config, [](const std::string&) { return false; });
  EXPECT_EQ(gradients(reference, model_, batch, {}, none.gradients()), loss);
}

TEST_P(Gradients, RefuseAProjectorWithAnActivation) {
  model_.projector_activation = ProjectorActivation::gelu;
  EXPECT_THROW(run(golden_.batch({0})), ContractError);
  EXPECT_THROW(loss_of(reference, model_, golden_.batch({0})), ContractError);
}

TEST_P(Gradients, RefusePicturesThatNoTokenStandsFor) {
  TrainingBatch batch = golden_.batch({0, 1});
  batch.ids[0] = 5;
  EXPECT_THROW(run(batch), ContractError);
  EXPECT_THROW(loss_of(reference, model_, batch), ContractError);
  batch = golden_.batch({0, 1});
  const auto L = static_cast<std::size_t>(golden_.config.vision.patches());
  std::fill_n(batch.ids.begin(), L, 5);  // all of one picture's
  EXPECT_THROW(run(batch), ContractError);
  EXPECT_THROW(loss_of(reference, model_, batch), ContractError);
}

// ---- several sequences about one picture -----------------------------------------------------------

// Pictures in any order, and two that nobody asks about. The way there has the same bits.
TEST_P(Gradients, AreTheSameOfAPictureThatIsShownAgain) {
  const std::vector<Index> shown{2, 0, 2, 0};
  const double loss = run(repeated(shown));
  const auto expected = numbers();
  TrainingBatch batch = golden_.batch({0, 1, 2, 3});
  const double in_order = loss_of(reference, model_, batch);
  EXPECT_NE(in_order, loss);
  batch.shown = {0, 1, 2, 3};
  EXPECT_EQ(loss_of(reference, model_, batch), in_order);
  batch.shown = shown;
  EXPECT_EQ(run(batch), loss);
  expect_near(expected, 1e-4);
  EXPECT_EQ(loss_of(reference, model_, batch), loss);
}

// Two in a row, of one sequence.
TEST_P(Gradients, AreTheSameOfTwoPicturesInARow) {
  TrainingBatch batch = golden_.batch({0});
  const Index L = golden_.config.vision.patches();
  batch.ids.insert(batch.ids.begin(), static_cast<std::size_t>(L), golden_.config.image_token);
  batch.segments[0].T += L;
  batch.segments[0].prefix += L;
  for (Index& row : batch.next.rows) row += L;
  batch.shown = {0, 0};
  const double loss = run(batch);
  const auto expected = numbers();
  batch.pixels = golden_.batch({0, 0}).pixels;
  batch.shown.clear();
  EXPECT_EQ(run(batch), loss);
  expect_near(expected, 1e-4);
  EXPECT_GT(loss, 0);
}

TEST_P(Gradients, RefusePicturesThatAreNotThere) {
  TrainingBatch batch = golden_.batch({0, 1});
  for (const std::vector<Index>& shown :
       std::vector<std::vector<Index>>{{0}, {0, 1, 1}, {0, 2}, {-1, 0}}) {
    batch.shown = shown;
    EXPECT_THROW(run(batch), ContractError);
    EXPECT_THROW(loss_of(reference, model_, batch), ContractError);
    const std::string said = error_text<ContractError>([&] { run(batch); });
    EXPECT_TRUE(shown.size() != 2 || holds(said, shown[0] < 0 ? "picture -1" : "picture 2"));
  }
  batch.shown = {1, 0};
  EXPECT_NO_THROW(run(batch));
  std::swap(batch.ids[1], batch.ids[static_cast<std::size_t>(golden_.config.vision.patches())]);
  EXPECT_THROW(run(batch), ContractError);  // as many image tokens as before
}

// ---- the dense head --------------------------------------------------------------------------------

// Nothing else than the tower and the head learns, and the loss is the head's of what the tower says.
TEST_P(Gradients, OfABatchWithoutWordsAreTheDenseHeads) {
  HeadAndGradients head(targets().columns(), golden_.config.vision.width);
  const DenseHead views = head.views();
  const TrainingBatch batch = without_words(targets());
  const double loss = run(batch, {}, &views);
  const Index P = 2, L = golden_.config.vision.patches();
  siglip::EncoderActivations<Reference> kept(golden_.config.vision, P, Recompute::none);
  siglip::encoder(reference, model_.weights.vision, golden_.config.vision, batch.pixels.view(),
                  kept);
  HeadAndGradients alone(targets().columns(), golden_.config.vision.width);
  Buffer<float, 2> dencoded({P * L, golden_.config.vision.width});
  EXPECT_EQ(dense_loss(reference, std::as_const(kept.normed).view(), alone.views(), targets(),
                       dencoded.view()),
            loss);
  EXPECT_TRUE(close(head.dweight.view(), alone.dweight.view(), kExact));
  EXPECT_TRUE(close(head.dbias.view(), alone.dbias.view(), kExact));
  int learned = 0;
  for (const Parameter& parameter : parameters_.all()) {
    const bool is_of_the_tower = parameter.name.starts_with("vision_tower.");
    EXPECT_EQ(norm_of(parameter) > 0, is_of_the_tower) << parameter.name;
    learned += is_of_the_tower;
  }
  EXPECT_GT(learned, 10);
}

// Along the gradient of one tensor at either end of the tower.
TEST_P(Gradients, OfABatchWithoutWordsAreTheSlope) {
  HeadAndGradients head(targets().columns(), golden_.config.vision.width);
  const DenseHead views = head.views();
  const TrainingBatch batch = without_words(targets());
  run(batch, {}, &views);
  int moved = 0;
  for (Parameter& parameter : parameters_.all()) {
    if (!parameter.name.ends_with("position_embedding.weight") &&
        !parameter.name.ends_with("post_layernorm.weight")) {
      continue;
    }
    ++moved;
    run(batch, {}, &views);
    const double length = norm_of(parameter), step = 1e-3 / length;
    const auto w = parameter.value.view();
    const std::vector<float> before(w.data(), w.data() + w.count()),
        g(parameter.gradient.view().data(), parameter.gradient.view().data() + w.count());
    const auto loss_at = [&](double size) {
      for (std::size_t k = 0; k < g.size(); ++k) {
        w.data()[k] = before[k] + static_cast<float>(size / length * double{g[k]});
      }
      const double loss = run(batch, {}, &views);
      std::copy(before.begin(), before.end(), w.data());
      return loss;
    };
    EXPECT_NEAR((loss_at(step) - loss_at(-step)) / (2 * step), length, 0.02 * length)
        << parameter.name;
  }
  EXPECT_EQ(moved, 2);
}

TEST_P(Gradients, AreThoseOfWordsAndOfTheDenseHead) {
  HeadAndGradients head(targets().columns(), golden_.config.vision.width);
  const DenseHead views = head.views();
  const double of_head = run(without_words(targets()), {}, &views);
  auto expected = numbers();
  TrainingBatch batch = golden_.batch({0, 1});
  const double of_words = run(batch);
  const auto words = numbers();
  for (std::size_t i = 0; i < words.size(); ++i) {
    for (std::size_t k = 0; k < words[i].size(); ++k) expected[i][k] += words[i][k];
  }
  EXPECT_EQ(run(batch, {}, &views), of_words);  // it has no targets
  batch.dense = targets();
  EXPECT_EQ(run(batch), of_words);  // there is no head
  EXPECT_EQ(run(batch, {}, &views), of_words + of_head);
  expect_near(expected, 1e-4);
  EXPECT_EQ(loss_of(reference, model_, batch), of_words);
}

// Beside a tower that is frozen the head learns the same.
TEST_P(Gradients, OfTheDenseHeadAreTheSameBesideAFrozenTower) {
  Checkpoint checkpoint(golden_.folder, golden_.config);
  Parameters none(checkpoint, golden_.config, [](const std::string&) { return false; });
  HeadAndGradients head(targets().columns(), golden_.config.vision.width),
      beside(targets().columns(), golden_.config.vision.width);
  const DenseHead views = head.views(), frozen = beside.views();
  const TrainingBatch batch = without_words(targets());
  const double loss = run(batch, {}, &views);
  EXPECT_EQ(gradients(reference, model_, batch, {}, none.gradients(), &frozen), loss);
  EXPECT_TRUE(close(beside.dweight.view(), head.dweight.view(), kExact));
}

}  // namespace
}  // namespace paligemma
