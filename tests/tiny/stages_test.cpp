#include "tiny/stages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "processing/tokenizer.h"
#include "tests/support/compare.h"
#include "tests/support/source_dir.h"

namespace paligemma::tiny {
namespace {

using namespace test;

const std::filesystem::path kModel = source_dir() + "/models/tiny";

struct Begun {
  Config config = read_config(kModel);
  Checkpoint checkpoint{kModel, config};
  Tokenizer tokenizer{kModel, config.image_token, static_cast<TokenId>(config.text.vocabulary)};
  TokenId first = tokenizer.encode("<loc0000>").front();
  Parameters parameters;

  explicit Begun(std::uint64_t seed)
      : parameters(checkpoint, config, [](const std::string&) { return true; }) {
    parameters.add("dense_head.weight", {61, config.vision.width});
    parameters.add("dense_head.bias", {61});
    begin(parameters.all(), first, seed);
  }
  View<const float, 2> number(const std::string& name) {
    Parameter* found = parameters.find(name);
    if (found == nullptr) throw ContractError("no parameter " + name);
    return std::as_const(found->value).view();
  }
};
Begun& begun() {
  static Begun of_seed_3(3);
  return of_seed_3;
}

struct Spread {
  double mean = 0, square = 0, largest = 0;

  explicit Spread(View<const float, 2> numbers) {
    const auto n = static_cast<double>(numbers.count());
    for (Index i = 0; i < numbers.size(0); ++i) {
      for (Index j = 0; j < numbers.size(1); ++j) {
        const double x = numbers(i, j);
        mean += x / n;
        square += x * x / n;
        largest = std::max(largest, std::abs(x));
      }
    }
  }
};

// As many numbers as these have a mean within 4 of its own standard deviations, and a mean square as well.
void expect_uniform(View<const float, 2> numbers, double bound, const std::string& name) {
  const Spread spread(numbers);
  const auto n = static_cast<double>(numbers.count());
  EXPECT_LE(spread.largest, bound * (1 + kUnitRoundoff)) << name;
  EXPECT_LT(std::abs(spread.mean) / bound, 4 * std::sqrt(1 / (3 * n))) << name;
  EXPECT_LT(std::abs(spread.square / (bound * bound) - 1.0 / 3), 4 * std::sqrt(4 / (45 * n)))
      << name;
}
void expect_normal(View<const float, 2> numbers, double deviation, const std::string& name) {
  const Spread spread(numbers);
  const auto n = static_cast<double>(numbers.count());
  EXPECT_LT(std::abs(spread.mean) / deviation, 4 / std::sqrt(n)) << name;
  EXPECT_LT(std::abs(spread.square / (deviation * deviation) - 1), 4 * std::sqrt(2 / n)) << name;
  EXPECT_GT(spread.largest, 3 * deviation) << name;
}

// ---- the stages ------------------------------------------------------------------------------------

TEST(Stages, AreWhatTheirHeaderSays) {
  ASSERT_EQ(stages().size(), 3u);
  const Stage &vision = stages()[0], &joint = stages()[1], &polish = stages()[2];
  EXPECT_EQ(vision.name, "vision");
  EXPECT_EQ(joint.name, "joint");
  EXPECT_EQ(polish.name, "polish");
  EXPECT_EQ(vision.schedule.steps, 1600);
  EXPECT_EQ(joint.schedule.steps, 3600);
  EXPECT_EQ(polish.schedule.steps, 2400);
  EXPECT_EQ(vision.pictures, 64);
  EXPECT_EQ(joint.pictures, 32);
  EXPECT_EQ(polish.pictures, 32);
  EXPECT_FALSE(vision.asks);
  EXPECT_TRUE(joint.asks && polish.asks);
  EXPECT_TRUE(!vision.hard && !joint.hard && polish.hard);
  for (const Stage& stage : stages()) EXPECT_EQ(stage.pictures % stage.at_once, 0) << stage.name;
}

TEST(Stages, SeeNoSceneTwice) {
  for (std::size_t i = 0; i + 1 < stages().size(); ++i) {
    const Stage& stage = stages()[i];
    const auto seen = static_cast<std::uint64_t>(stage.pictures * stage.schedule.steps);
    EXPECT_LE(stage.first_scene + seen, stages()[i + 1].first_scene) << stage.name;
  }
}

// From nothing to the whole, which joint keeps for two fifths of its steps, and back to nothing.
TEST(Stages, HaveRatesThatRiseAndFall) {
  for (const Stage& stage : stages()) {
    const Schedule& schedule = stage.schedule;
    EXPECT_EQ(schedule.at(0), 0) << stage.name;
    EXPECT_EQ(schedule.at(schedule.warmup / 2), 0.5) << stage.name;
    EXPECT_EQ(schedule.at(schedule.warmup), 1) << stage.name;
    EXPECT_GT(schedule.at(schedule.steps - 1), 0) << stage.name;
    EXPECT_LT(schedule.at(schedule.steps - 1), 2e-3) << stage.name;
  }
  const Schedule& joint = stages()[1].schedule;
  EXPECT_EQ(joint.at(1440), 1);
  EXPECT_LT(joint.at(1441), 1);
  EXPECT_NEAR(joint.at(2520), 0.5, float_operations(4).relative);
  EXPECT_NEAR(stages()[0].schedule.at(900), 0.5, float_operations(4).relative);  // a cosine
}

TEST(Stages, MoveMatricesByMuonAndTheRestByAdamW) {
  const Stage &vision = stages()[0], &joint = stages()[1], &polish = stages()[2];
  EXPECT_EQ(vision.rate, 2e-3);
  EXPECT_EQ(joint.rate, 2e-3);
  EXPECT_EQ(polish.rate, 1e-3);
  for (const Stage& stage : stages()) {
    const OptimizerRule rule = optimizer_rule(stage);
    EXPECT_EQ(rule.kind, OptimizerKind::muon);
    EXPECT_EQ(rule.matrix_rate, stage.matrix_rate);
    EXPECT_EQ(rule.decay, 0.01);
    EXPECT_EQ(rule.adamw.beta1, 0.9);
    EXPECT_EQ(rule.adamw.beta2, 0.95);
    EXPECT_EQ(rule.ema, 0);
  }
  // Where the vision tower has learned already, a fast Muon destroys it.
  EXPECT_EQ(vision.matrix_rate, 4 * joint.matrix_rate);
  EXPECT_EQ(joint.matrix_rate, polish.matrix_rate);
}

TEST(Stages, SettleByAShareOfTheirSteps) {
  const Stage &vision = stages()[0], &joint = stages()[1], &polish = stages()[2];
  EXPECT_EQ(settled(vision, 1), 0);
  EXPECT_EQ(settled(vision, 801), 0.5);
  EXPECT_LT(settled(vision, 1600), 1);

  EXPECT_EQ(settled(joint, 1), 0);
  EXPECT_GT(settled(joint, 2), 0);
  EXPECT_NEAR(settled(joint, 1201), 0.5, float_operations(4).relative);
  EXPECT_NEAR(settled(joint, 2400), 2399.0 / 2400, float_operations(4).relative);
  EXPECT_EQ(settled(joint, 2401), 1);
  EXPECT_EQ(settled(joint, 3600), 1);

  EXPECT_EQ(settled(polish, 1), 1);
  EXPECT_EQ(settled(polish, 900), 1);
}

// ---- first numbers ---------------------------------------------------------------------------------

TEST(StagesBegin, WithMatricesAndTheirBiasesWithinOneOverTheRootOfTheInputs) {
  Begun& b = begun();
  int matrices = 0, biases = 0;
  for (const Parameter& parameter : b.parameters.all()) {
    const std::string& name = parameter.name;
    const bool is_other = name.find("embed_tokens") != name.npos ||
                          name.find("norm") != name.npos ||
                          name.find("position_embedding") != name.npos;
    if (is_other || name.ends_with(".bias")) continue;
    const double bound = 1 / std::sqrt(static_cast<double>(b.number(name).size(1)));
    expect_uniform(b.number(name), bound, name);
    ++matrices;
    const std::string bias = name.substr(0, name.rfind('.')) + ".bias";
    if (b.parameters.find(bias) == nullptr) continue;
    expect_uniform(b.number(bias), bound, bias);
    EXPECT_GT(Spread(b.number(bias)).largest, 0.8 * bound) << bias;
    ++biases;
  }
  // Patches, six a block of the vision tower, projector and head, of which all have biases; seven a block of the text.
  EXPECT_EQ(biases, 1 + 4 * 6 + 1 + 1);
  EXPECT_EQ(matrices, biases + 4 * 7);
}

TEST(StagesBegin, WithNormsThatDoNothing) {
  Begun& b = begun();
  int norms = 0;
  for (const Parameter& parameter : b.parameters.all()) {
    if (parameter.name.find("norm") == std::string::npos) continue;
    const bool is_one =
        parameter.name.starts_with("vision_tower.") && parameter.name.ends_with(".weight");
    const auto numbers = b.number(parameter.name);
    EXPECT_EQ(std::count(numbers.data(), numbers.data() + numbers.count(), is_one ? 1.0f : 0.0f),
              numbers.count())
        << parameter.name;
    ++norms;
  }
  EXPECT_EQ(norms, 2 * (2 * 4 + 1) + 2 * 4 + 1);
}

TEST(StagesBegin, WithNormalWordsAndPositions) {
  Begun& b = begun();
  const auto words = b.number("language_model.model.embed_tokens.weight");
  const double deviation = 1 / std::sqrt(static_cast<double>(words.size(1)));
  expect_normal(words.rows(0, b.first), deviation, "words before the coordinates");
  expect_normal(words.rows(b.first + 1024, words.size(0)), deviation, "words behind them");
  for (const Parameter& parameter : b.parameters.all()) {
    if (parameter.name.find("position_embedding") == std::string::npos) continue;
    expect_normal(b.number(parameter.name), 0.02, parameter.name);
  }
}

// Half of a coordinate's numbers say where it is, to an eighth of a picture as to a pixel; the others are its own.
TEST(StagesBegin, WithCoordinatesThatAreLikeTheirNeighbours) {
  Begun& b = begun();
  const auto rows =
      b.number("language_model.model.embed_tokens.weight").rows(b.first, b.first + 1024);
  const Index D = rows.size(1);
  const auto place = [&](Index i, Index d) { return double{rows(i, d)}; };
  const auto likeness = [&](Index i, Index j) {
    double product = 0, one = 0, other = 0;
    for (Index d = 0; d < D / 2; ++d) {
      product += place(i, d) * place(j, d);
      one += place(i, d) * place(i, d);
      other += place(j, d) * place(j, d);
    }
    return product / std::sqrt(one * other);
  };
  for (const Index i : {0, 1, 300, 511, 900, 1020}) {
    EXPECT_GT(likeness(i, i + 1), 0.99) << i;
    EXPECT_GT(likeness(i, i + 1), likeness(i, i + 3)) << i;
    EXPECT_LT(likeness(i, (i + 512) % 1024), 0.6) << i;
  }
  // The slowest sine and cosine turn by half, the fastest 32 times; the ends are those of the scale.
  const Index fastest = D / 4 - 1;
  const double sum = 0.12 * 0.12;
  for (const Index i : {0, 77, 1023}) {
    for (const Index f : {Index{0}, fastest / 2, fastest}) {
      EXPECT_NEAR(place(i, f) * place(i, f) + place(i, D / 4 + f) * place(i, D / 4 + f), sum,
                  float_operations(8).relative * sum);
    }
  }
  EXPECT_EQ(rows(0, 0), 0);
  EXPECT_EQ(rows(0, D / 4), 0.12f);
  EXPECT_EQ(rows(1023, D / 4), -0.12f);
  int turns = 0;
  for (Index i = 1; i < 1024; ++i) turns += place(i - 1, fastest) < 0 && place(i, fastest) >= 0;
  EXPECT_EQ(turns, 31);  // and the one that it began with
  const Spread own(View<const float, 2>(&rows(0, D / 2), {1024, D / 2}, {D, 1}));
  EXPECT_NEAR(own.square * static_cast<double>(D), 0.04, 0.04 * 4 * std::sqrt(2.0 / (512 * 128)));
}

TEST(StagesBegin, WithTheSameNumbersOfASeedAndOthersOfAnother) {
  Begun again(3), other(4);
  for (const Parameter& parameter : begun().parameters.all()) {
    const std::string& name = parameter.name;
    EXPECT_TRUE(close(again.number(name), begun().number(name), kExact)) << name;
    if (name.find("norm") != name.npos) continue;
    EXPECT_FALSE(close(other.number(name), begun().number(name), kExact)) << name;
  }
}

// Each tensor has numbers of its own, none of them twice in a row.
TEST(StagesBegin, WithOtherNumbersForEachTensor) {
  std::set<float> firsts;
  std::size_t tensors = 0;
  for (const Parameter& parameter : begun().parameters.all()) {
    if (parameter.name.find("norm") != parameter.name.npos) continue;
    const auto numbers = begun().number(parameter.name);
    firsts.insert(numbers.data()[0] * std::sqrt(static_cast<float>(numbers.size(1))));
    EXPECT_NE(numbers.data()[0], numbers.data()[1]) << parameter.name;
    ++tensors;
  }
  EXPECT_EQ(firsts.size(), tensors);
}

// ---- from stage to stage ---------------------------------------------------------------------------

Parameter named(const std::string& name, float number) {
  Parameter parameter{name, {2, 3}, Buffer<float, 2>({2, 3}), Buffer<float, 2>({2, 3})};
  std::fill_n(parameter.value.view().data(), 6, number);
  return parameter;
}

TEST(StagesTake, CopiesWhatHasTheSameName) {
  std::vector<Parameter> from, to;
  for (const auto& [name, number] : {std::pair("eye", 1.0f), {"gone", 2.0f}, {"head", 3.0f}}) {
    from.push_back(named(name, number));
  }
  for (const auto& [name, number] : {std::pair("tongue", 4.0f), {"head", 5.0f}, {"eye", 6.0f}}) {
    to.push_back(named(name, number));
  }
  take(from, to);
  const auto holds = [](const Parameter& parameter, float number) {
    const auto value = parameter.value.view();
    return std::count(value.data(), value.data() + 6, number) == 6;
  };
  EXPECT_TRUE(holds(to[0], 4) && holds(to[1], 3) && holds(to[2], 1));
  EXPECT_TRUE(holds(from[0], 1) && holds(from[1], 2) && holds(from[2], 3));
  take({}, to);
  EXPECT_TRUE(holds(to[0], 4) && holds(to[1], 3) && holds(to[2], 1));
}

}  // namespace
}  // namespace paligemma::tiny
