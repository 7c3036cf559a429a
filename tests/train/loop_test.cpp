#include "train/loop.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tensor/errors.h"
#include "tests/support/compare.h"
#include "tests/support/error_text.h"
#include "tests/support/golden_run.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/told_learner.h"

namespace paligemma {
namespace {

using namespace test;

using Events = std::vector<std::string>;
using Counts = std::vector<std::size_t>;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

RunOptions in_order(Index batch, Index steps, Index every = 0) {
  return {.batch = batch, .schedule = {.steps = steps}, .every = every, .shuffles = false};
}

// docs/train/loop.md, "By hand": lines of 2, 6 and 14 learned tokens with losses of 4, 8 and 12 each.
TEST(Loop, WorkedExample) {
  ToldRun run;
  run.learner.loss_of = [](Index learned) { return learned == 2 ? 4 : learned == 6 ? 8 : 12; };
  const TemporaryFolder folder;
  const auto lines = lines_of(run.golden, folder, {"red", "left a an and", "two boats near river"});
  const float before[]{run.number(0), run.number(1), run.number(2)};
  EXPECT_TRUE(run.run({.batch = 1,
                       .accumulate = 2,
                       .rate = 0.5,
                       .schedule = {.decay = Decay::linear, .steps = 2},
                       .clip = 1,
                       .shuffles = false},
                      run.lines(lines)));
  EXPECT_EQ(run.events, (Events{"step 1", "best 2", "step 2", "save 2"}));
  EXPECT_EQ(run.learner.learned, (Counts{1, 1, 1, 1}));

  const Tolerance tolerance = float_operations(8);
  const StepReport &one = run.reports[0], &two = run.reports[1];
  EXPECT_EQ(run.tokens(), (std::vector<Index>{8, 16}));
  EXPECT_NEAR(one.loss, 7, 7 * tolerance.relative);
  EXPECT_NEAR(two.loss, 11, 11 * tolerance.relative);
  EXPECT_EQ(run.state.losses, (std::vector<float>{7, 11}));
  for (const StepReport* report : {&one, &two}) {
    EXPECT_NEAR(report->grad_norm, 5, 5 * tolerance.relative);
    EXPECT_GE(report->seconds, 0);
    EXPECT_FALSE(report->validation_loss);
  }
  EXPECT_EQ(one.rate, 0.5);
  EXPECT_EQ(two.rate, 0.25);
  // The clip's own 1e-6 is 2e-7 of the norm.
  EXPECT_NEAR(run.number(0) - before[0], -0.45, 1e-6);
  EXPECT_NEAR(run.number(1) - before[1], -0.6, 1e-6);
  EXPECT_EQ(run.number(2), before[2]);
}

class LoopOnGolden : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Golden, LoopOnGolden, ::testing::Values(1, 2));

// torch's own in float32 are within 2.2e-4 of those in float64, which are stored; losses by far.
void expect_torchs(int version, Index batch, Index accumulate) {
  GoldenRun run(version);
  RunOptions options = golden_options();
  options.batch = batch;
  options.accumulate = accumulate;
  EXPECT_TRUE(run.run(options));
  ASSERT_EQ(run.reports.size(), 6u);
  for (std::size_t i = 0; i < 6; ++i) {
    const double loss = run.golden.losses[i], norm = run.golden.grad_norms[i];
    EXPECT_NEAR(run.reports[i].loss, loss, 3e-5 * loss) << i;
    EXPECT_NEAR(run.reports[i].grad_norm, norm, 3e-4 * norm) << i;
  }
}
TEST_P(LoopOnGolden, LearnsAsTorchDoes) { expect_torchs(GetParam(), 2, 1); }
TEST_P(LoopOnGolden, LearnsTheSameFromABatchInParts) { expect_torchs(GetParam(), 1, 2); }

// Whatever a step depends on: the order of the lines, the schedule, the optimizer's own numbers, means among them, what
// is left out, the validation.
TEST_P(LoopOnGolden, GoesOnFromASavedRunAsIfItHadNeverStopped) {
  const RunOptions options{.batch = 2,
                           .rate = 1e-4,
                           .schedule = {.decay = Decay::cosine, .warmup = 1, .steps = 6},
                           .clip = 400,
                           .every = 2,
                           .seed = 5};
  const LearnerOptions how{.rule = {.dropout = 0.1f, .seed = 5}};
  const OptimizerRule rule{.decay = 0.01, .ema = 0.9};
  GoldenRun whole(GetParam());
  whole.optimizer = Optimizer(rule, whole.parameters.all());
  EXPECT_TRUE(whole.run(options, {}, -1, how));
  for (Index last = 0; last < 6; ++last) {
    SCOPED_TRACE(last);
    const TemporaryFolder folder;
    GoldenRun first(GetParam());
    first.optimizer = Optimizer(rule, first.parameters.all());
    const auto save = [&] {
      save_run(folder.path(), "{}", first.state, first.parameters.all(), first.optimizer);
    };
    EXPECT_FALSE(first.run(options, {.save = save}, last, how));
    GoldenRun second(GetParam());
    second.optimizer = Optimizer(rule, second.parameters.all());
    second.state = load_run(folder.path(), "{}", second.parameters.all(), second.optimizer);
    EXPECT_EQ(second.state.step, last);
    EXPECT_TRUE(second.run(options, {}, -1, how));
    EXPECT_EQ(second.reports.size(), static_cast<std::size_t>(6 - last));
    EXPECT_EQ(second.state.losses, whole.state.losses);
    ASSERT_EQ(second.state.validations.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(second.state.validations[i].step, whole.state.validations[i].step);
      EXPECT_EQ(second.state.validations[i].loss, whole.state.validations[i].loss);
    }
    EXPECT_TRUE(same_numbers(second.parameters, whole.parameters));
    for (GoldenRun* run : {&whole, &second}) run->optimizer.exchange_means();
    EXPECT_TRUE(same_numbers(second.parameters, whole.parameters));
    whole.optimizer.exchange_means();
  }
}

// The means are validated and kept as the best, and the values go on and are saved. What the model reads are rounded
// ones, made anew each time.
TEST_P(LoopOnGolden, ValidatesAndKeepsMeansInThePlaceOfValues) {
  RunOptions options = golden_options();
  options.every = 2;
  const LearnerOptions how{.format = WeightFormat::bf16};
  GoldenRun plain(GetParam()), run(GetParam());
  run.optimizer = Optimizer({.decay = 0.01, .ema = 0.5}, run.parameters.all());
  const auto numbers = [&](bool of_means) {
    std::vector<float> all;
    for (std::size_t i = 0; i < run.parameters.all().size(); ++i) {
      const auto rows = of_means ? run.optimizer.kept()[i].back().numbers.view()
                                 : run.parameters.all()[i].value.view();
      all.insert(all.end(), rows.data(), rows.data() + rows.count());
    }
    return all;
  };
  std::vector<float> best, values, means;
  Index best_step = 0;
  const auto on_best = [&] {
    best = numbers(false);
    best_step = run.state.step;
  };
  const auto save = [&] {
    if (best_step == run.state.step) {
      EXPECT_EQ(best, numbers(true));
    }
    EXPECT_NE(numbers(false), numbers(true));
  };
  EXPECT_TRUE(run.run(options, {.on_best = on_best, .save = save}, -1, how));
  EXPECT_GT(best_step, 0);
  EXPECT_TRUE(plain.run(options, {}, -1, how));
  EXPECT_TRUE(same_numbers(run.parameters, plain.parameters));
  EXPECT_EQ(run.state.losses, plain.state.losses);
  EXPECT_NE(run.state.validations[0].loss, plain.state.validations[0].loss);

  run.optimizer.exchange_means();
  run.parameters.refresh();
  const auto learner = make_learner(reference, run.golden.config, run.parameters, how);
  EXPECT_NEAR(learner->loss(run.golden.batch({0, 1, 2, 3})), run.state.validations.back().loss,
              1e-5 * double{run.state.validations.back().loss});
}

// Without a validation, too.
TEST(Loop, KeepsTheMeansAtTheEnd) {
  ToldRun run;
  run.optimizer =
      Optimizer({.kind = OptimizerKind::sgd, .momentum = 0, .ema = 0.5}, run.parameters.all());
  const float before = run.number(1);
  RunOptions options = in_order(4, 2);
  options.rate = 0.25;
  Examples lines = run.lines();
  LineLessons lessons(options.lines(), lines, nullptr);
  Loop loop(options.loop(), run.learner, run.parameters, run.optimizer, lessons);
  float best = 0, saved = 0;
  loop.run(run.state,
           {.on_best = [&] { best = run.number(1); }, .save = [&] { saved = run.number(1); }});
  EXPECT_NEAR(saved - before, -2, 1e-5);
  EXPECT_NEAR(best - before, -1.25, 1e-5);  // halfway to -1, and from there to -2
}

// Through the whole run, whatever is passed over: dropout draws by them.
TEST(Loop, NumbersTheBatches) {
  ToldRun run;
  const TemporaryFolder folder;
  RunOptions options = in_order(1, 3);
  options.accumulate = 2;
  options.skip_bad = true;
  EXPECT_TRUE(run.run(options, run.lines(lines_with_a_bad_picture(run.golden, folder))));
  EXPECT_EQ(run.learner.numbers, (std::vector<std::uint64_t>{0, 1, 2, 4, 5}));
}

// Adapters and rounded weights are made anew behind each step: the loss of the same lines falls.
TEST_P(LoopOnGolden, ShowsTheModelWhatWasLearned) {
  RunOptions options = golden_options();
  options.batch = 4;
  options.schedule.steps = 3;
  const auto expect_falling = [](const GoldenRun& run) {
    EXPECT_LT(run.reports[1].loss, run.reports[0].loss);
    EXPECT_LT(run.reports[2].loss, run.reports[1].loss);
  };
  GoldenRun rounded(GetParam());
  rounded.run(options, {}, -1, {.format = WeightFormat::bf16});
  expect_falling(rounded);
  options.rate = 1e-3;
  GoldenRun beside(GetParam(),
                   LoraRule{.rank = 2, .alpha = 4, .is_target = lora_targets("all-linear")});
  beside.run(options);
  expect_falling(beside);
}

TEST(Loop, StopsBetweenStepsAndSavesWhatIsNotSavedYet) {
  ToldRun run;
  Examples validation = run.lines();
  run.last = 0;
  EXPECT_FALSE(run.run(in_order(4, 5, 2), run.lines(), &validation));
  EXPECT_EQ(run.events, Events());
  run.last = 1;
  EXPECT_FALSE(run.run(in_order(4, 5, 2), run.lines(), &validation));
  EXPECT_EQ(run.events, (Events{"step 1", "save 1"}));
  run.last = 2;
  EXPECT_FALSE(run.run(in_order(4, 5, 2), run.lines(), &validation));
  EXPECT_EQ(run.events, (Events{"step 1", "save 1", "best 2", "step 2", "save 2"}));
  run.last = 5;
  EXPECT_TRUE(run.run(in_order(4, 5, 2), run.lines(), &validation));
  EXPECT_EQ(run.state.step, 5);
  run.last = -1;
  EXPECT_TRUE(run.run(in_order(4, 5, 2), run.lines(), &validation));
  EXPECT_EQ(run.reports.size(), 5u);
}

// Each token counts alike there, too, however many lines are asked at once; as many at the end.
TEST(Loop, ValidatesBySteps) {
  for (const Index batch : {1, 3, 4}) {
    ToldRun run;
    Examples validation = run.lines();
    run.learner.loss_of = [](Index learned) { return static_cast<double>(learned); };
    EXPECT_TRUE(run.run(in_order(batch, 5, 2), run.lines(), &validation));
    EXPECT_EQ(run.events, (Events{"step 1", "best 2", "step 2", "save 2", "step 3", "step 4",
                                  "save 4", "step 5", "save 5"}));
    const double expected = (14.0 * 14 + 2 * 2 + 11 * 11 + 6 * 6) / (14 + 2 + 11 + 6);
    ASSERT_EQ(run.state.validations.size(), 3u);
    EXPECT_EQ(run.state.validations[0].step, 2);
    EXPECT_EQ(run.state.validations[2].step, 5);
    for (std::size_t i = 0; i < 5; ++i) {
      const auto& found = run.reports[i].validation_loss;
      EXPECT_EQ(found.has_value(), i == 1 || i == 3 || i == 4) << i;
      EXPECT_DOUBLE_EQ(found.value_or(expected), expected);
    }
    EXPECT_EQ(run.state.validations[1].loss, static_cast<float>(expected));
    const auto a_time = static_cast<std::size_t>((4 + batch - 1) / batch);
    EXPECT_EQ(run.learner.asked.size(), 3 * a_time);
  }
}

TEST(Loop, WithoutAValidationTheLastIsTheBest) {
  ToldRun run;
  EXPECT_TRUE(run.run(in_order(4, 3, 2), run.lines()));
  EXPECT_EQ(run.events, (Events{"step 1", "step 2", "save 2", "best 3", "step 3", "save 3"}));
  EXPECT_TRUE(run.state.validations.empty());
}

// Less than all before, those of a saved run among them; what is no number is not.
TEST(Loop, KeepsTheBest) {
  ToldRun run;
  Examples validation = run.lines();
  run.state.step = 1;
  run.state.losses = {1};
  run.state.validations = {{1, 5}};
  const double losses[]{6, 4, 4, kNan, 3, 5};
  run.learner.validation_loss_of = [&] { return losses[run.state.step - 2]; };
  EXPECT_TRUE(run.run(in_order(4, 7, 1), run.lines(), &validation));
  Events best;
  for (const std::string& event : run.events) {
    if (event.starts_with("best")) best.push_back(event);
  }
  EXPECT_EQ(best, (Events{"best 3", "best 6"}));

  ToldRun diverged;
  diverged.learner.validation_loss_of = [] { return kNan; };
  EXPECT_TRUE(diverged.run(in_order(4, 1, 1), diverged.lines(), &validation));
  EXPECT_EQ(diverged.events, (Events{"step 1", "save 1"}));
}

TEST(Loop, MovesNothingByWhatIsNoNumber) {
  for (const double bad : {kNan, kInfinity}) {
    for (const bool in_loss : {true, false}) {
      ToldRun run;
      run.last = 2;
      EXPECT_FALSE(run.run(in_order(4, 5), run.lines()));
      const float before = run.number(0);
      run.learner.loss_of = [=](Index) { return in_loss ? bad : 1; };
      run.learner.factor = in_loss ? 1 : static_cast<float>(bad);
      run.last = -1;
      const std::string said =
          error_text<DivergedError>([&] { run.run(in_order(4, 5), run.lines()); });
      EXPECT_TRUE(holds(said, "step 3"));
      EXPECT_EQ(run.number(0), before);
      EXPECT_EQ(run.state.step, 2);
      EXPECT_EQ(run.state.losses.size(), 2u);
      EXPECT_EQ(run.events.back(), "save 2");
    }
  }
}

// A gradient of any length is told as it is; a longer one than allowed moves as far as one of that length.
TEST(Loop, ClipsGradientsThatAreTooLong) {
  for (const double clip : {0.0, 2.5, 10.0}) {
    ToldRun run;
    const float before = run.number(1);
    RunOptions options = in_order(4, 1);
    options.rate = 1;
    options.clip = clip;
    EXPECT_TRUE(run.run(options, run.lines()));
    EXPECT_NEAR(run.reports[0].grad_norm, 5, 1e-5);
    EXPECT_NEAR(run.number(1) - before, clip == 2.5 ? -2 : -4, 1e-5);
  }
}

TEST(Loop, TakesLinesInTheirOrderOrByTheSeed) {
  const auto tokens = [](bool shuffles, std::uint64_t seed) {
    ToldRun run;
    RunOptions options = in_order(1, 8);
    options.shuffles = shuffles;
    options.seed = seed;
    EXPECT_TRUE(run.run(options, run.lines()));
    return run.tokens();
  };
  EXPECT_EQ(tokens(false, 1), (std::vector<Index>{14, 2, 11, 6, 14, 2, 11, 6}));
  EXPECT_EQ(tokens(true, 1), tokens(true, 1));
  EXPECT_NE(tokens(true, 1), tokens(true, 2));
  EXPECT_NE(tokens(true, 1), tokens(false, 1));
}

// The other lines come when they would have come.
TEST(Loop, PassesOverPicturesThatCannotBeDecoded) {
  ToldRun run;
  const TemporaryFolder folder;
  const auto file = lines_with_a_bad_picture(run.golden, folder);
  Examples validation = run.lines(file);
  RunOptions options = in_order(2, 4, 4);
  options.skip_bad = true;
  run.learner.loss_of = [](Index learned) { return static_cast<double>(learned); };
  EXPECT_TRUE(run.run(options, run.lines(file), &validation));
  EXPECT_EQ(run.tokens(), (std::vector<Index>{16, 6, 16, 6}));
  EXPECT_EQ(run.learner.learned, (Counts{2, 1, 2, 1}));
  EXPECT_EQ(run.skipped, 3);
  EXPECT_DOUBLE_EQ(*run.reports[3].validation_loss, (14.0 * 14 + 2 * 2 + 6 * 6) / (14 + 2 + 6));
}

// With nothing of the step done, and all before it saved; a step and a validation are of one picture at least.
TEST(Loop, RefusesPicturesThatCannotBeDecoded) {
  const TemporaryFolder folder;
  const auto file = lines_with_a_bad_picture(TrainingGolden(1), folder);
  for (const bool skip_bad : {false, true}) {
    ToldRun run;
    RunOptions options = in_order(skip_bad ? 1 : 2, 4);
    options.skip_bad = skip_bad;
    EXPECT_TRUE(holds(error_text<ImageError>([&] { run.run(options, run.lines(file)); }),
                      skip_bad ? "step 3" : "2.png"));
    EXPECT_EQ(run.state.step, skip_bad ? 2 : 1);
    EXPECT_EQ(run.events.back(), skip_bad ? "save 2" : "save 1");
    EXPECT_EQ(run.learner.learned.size(), static_cast<std::size_t>(run.state.step));

    Examples validation = run.lines(lines_of(run.golden, folder, {"red"}, "2.png"));
    options = in_order(2, 4, 4);
    options.skip_bad = skip_bad;
    EXPECT_TRUE(holds(error_text<ImageError>([&] { run.run(options, run.lines(), &validation); }),
                      skip_bad ? "none of the validation's" : "2.png"));
  }
}

}  // namespace
}  // namespace paligemma
