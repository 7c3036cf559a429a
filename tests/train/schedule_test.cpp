#include "train/schedule.h"

#include <map>
#include <string>

#include "tests/support/optimizer_golden.h"

namespace paligemma {
namespace {

using namespace test;

TEST(Schedule, IsTransformers) {
  const std::map<std::string, Decay> names{{"constant_with_warmup", Decay::constant},
                                           {"linear", Decay::linear},
                                           {"cosine", Decay::cosine}};
  const auto all = optimizer_golden();
  for (const auto& golden : all.at("schedules")) {
    const std::string name = golden.at("name");
    const Schedule schedule{names.at(name), golden.at("warmup"), golden.at("steps")};
    Index step = 0;
    for (const double factor : golden.at("factors")) {
      EXPECT_NEAR(schedule.at(step), factor, 1e-12) << name << ", step " << step;
      ++step;
    }
  }
}

// docs/train/schedule.md, "By hand".
TEST(Schedule, WorkedExample) {
  EXPECT_EQ((Schedule{Decay::linear, 2, 6}.at(1)), 0.5);
  EXPECT_EQ((Schedule{Decay::linear, 2, 6}.at(5)), 0.25);
  EXPECT_NEAR((Schedule{Decay::cosine, 2, 6}.at(4)), 0.5, 1e-15);
  EXPECT_EQ((Schedule{Decay::rsqrt, 2, 6, 4}.at(14)), 0.5);
  EXPECT_EQ((Schedule{.decay = Decay::linear, .warmup = 2, .steps = 10, .flat = 4}.at(8)), 0.5);
}

// Between the warm-up and the decay, which is shorter by as much; of the others there is no such part.
TEST(Schedule, MayBeFlatBeforeItFalls) {
  for (const Decay decay : {Decay::linear, Decay::cosine}) {
    const Schedule schedule{.decay = decay, .warmup = 2, .steps = 10, .flat = 4},
        later{.decay = decay, .warmup = 6, .steps = 10};
    EXPECT_EQ(schedule.at(1), 0.5);
    for (Index step = 2; step <= 6; ++step) EXPECT_EQ(schedule.at(step), 1) << step;
    for (Index step = 6; step <= 12; ++step) EXPECT_EQ(schedule.at(step), later.at(step)) << step;
    EXPECT_LT(schedule.at(7), 1);
    const Schedule whole{.decay = decay, .warmup = 2, .steps = 10, .flat = 8};
    EXPECT_EQ(whole.at(9), 1);
    EXPECT_EQ(whole.at(10), 0);
  }
  for (const Decay decay : {Decay::constant, Decay::rsqrt}) {
    const Schedule schedule{.decay = decay, .warmup = 2, .steps = 10, .flat = 4},
        plain{.decay = decay, .warmup = 2, .steps = 10};
    for (Index step = 0; step <= 12; ++step) EXPECT_EQ(schedule.at(step), plain.at(step)) << step;
  }
}

// rsqrt's timescale, unless another is named.
TEST(Schedule, HasBigVisionsTimescale) { EXPECT_EQ((Schedule{Decay::rsqrt, 0, 6}.at(30000)), 0.5); }

TEST(Schedule, StaysAtNothingBehindTheEnd) {
  for (const Index step : {6, 7, 12, 1000}) {
    EXPECT_EQ((Schedule{Decay::linear, 2, 6}.at(step)), 0);
    EXPECT_EQ((Schedule{Decay::cosine, 2, 6}.at(step)), 0);
    EXPECT_EQ((Schedule{Decay::constant, 2, 6}.at(step)), 1);
    EXPECT_GT((Schedule{Decay::rsqrt, 2, 6}.at(step)), 0);
  }
}

TEST(Schedule, MayBeAllWarmup) {
  EXPECT_EQ((Schedule{Decay::cosine, 6, 6}.at(3)), 0.5);
  EXPECT_EQ((Schedule{Decay::cosine, 6, 6}.at(6)), 0);
}

TEST(Schedule, RejectsStepsBeforeTheFirst) {
  EXPECT_THROW((Schedule{Decay::constant, 0, 6}.at(-1)), ContractError);
  EXPECT_THROW((Schedule{Decay::constant, -1, 6}.at(0)), ContractError);
  EXPECT_THROW((Schedule{.decay = Decay::linear, .steps = 6, .flat = -1}.at(0)), ContractError);
}

}  // namespace
}  // namespace paligemma
