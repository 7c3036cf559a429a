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
}

}  // namespace
}  // namespace paligemma
