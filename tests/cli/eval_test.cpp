// paligemma eval: a model's answers about scenes, scored. The model here says the same whatever it
// is asked, so that the scores are known.
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_files.h"
#include "world/curriculum.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

constexpr int kScenes = 12;

class Eval : public ::testing::Test {
 protected:
  json scores(const std::string& says, const std::string& split) {
    const auto model = folder_ / says;
    write_scripted_model(model, says);
    const Ran ran = run_program(
        {"eval", "-m", model, "--split", split, "--scenes", std::to_string(kScenes), "--json"});
    EXPECT_EQ(ran.exit_code, 0) << ran;
    return json::parse(ran.out);
  }

  TemporaryFolder folder_;
};

TEST_F(Eval, CountsWhatIsRight) {
  int asked = 0, yes = 0;
  for (std::uint64_t i = 0; i < kScenes; ++i) {
    const auto truth = truth_of(world::random_scene(world::Split::test, i));
    for (const auto& q : world::evaluation_questions(truth, world::Split::test, i)) {
      if (world::task_of(q.family) != world::Task::answer) continue;
      ++asked;
      yes += q.answer == "yes";
    }
  }
  const json result = scores("yes", "test");
  EXPECT_EQ(result["split"], "test");
  EXPECT_EQ(result["n"], kScenes);
  EXPECT_NEAR(result["answer"]["exact"].get<double>(), double(yes) / asked, 1e-4);
  EXPECT_GT(result["answer"]["baseline"], 0);
  EXPECT_EQ(result["caption"]["exact"], 0);
  EXPECT_EQ(result["detect"]["miou"], 0);
  EXPECT_EQ(result["detect"]["invalid"], 1);  // "yes" is no box
}

TEST_F(Eval, FindsABoxThatIsTheWholePicture) {
  const json result = scores("<loc0000><loc0001><loc1023><loc1022> red circle", "held-out");
  EXPECT_EQ(result["split"], "held-out");
  EXPECT_EQ(result["detect"]["recall50"], 0);
  EXPECT_EQ(result["segment"]["miou"], nullptr);  // this model has no mask decoder
}

TEST_F(Eval, AsksAboutPicturesFromElsewhere) {
  const json result = scores("1", "other");
  EXPECT_EQ(result["split"], "other");
  EXPECT_GT(result["answer"]["by"]["count"], 0);
  EXPECT_EQ(result["ocr"]["exact"], nullptr);
}

TEST_F(Eval, IsPrintedForPeopleToo) {
  const auto model = folder_ / "yes";
  write_scripted_model(model, "yes");
  const Ran ran = run_program({"eval", "-m", model, "--scenes", "2"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_TRUE(ran.out.starts_with("2 scenes, split test\ncaption   exact 0.000")) << ran;
}

// The default model, whose answers differ from scene to scene; threads have pipelines of their own.
TEST_F(Eval, TheReferencesScoresAreThoseOfOneThread) {
  const auto scores_by = [](const std::string& threads) {
    const Ran ran = run_program({"eval", "--scenes", "8", "--reference", "--threads", threads});
    EXPECT_EQ(ran.exit_code, 0) << ran;
    return ran.out;
  };
  EXPECT_EQ(scores_by("4"), scores_by("1"));
}

TEST_F(Eval, RefusesSplitsAndNumbersThatAreNone) {
  EXPECT_TRUE(refuses(run_program({"eval", "--split", "x"}), 2, {"--split", "held-out"}));
  EXPECT_TRUE(refuses(run_program({"eval", "--scenes", "0"}), 2, {"--scenes"}));
  EXPECT_TRUE(refuses(run_program({"eval", "-m", "/nonexistent"}), 3));
}

}  // namespace
}  // namespace paligemma
