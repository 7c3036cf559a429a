// paligemma train-tiny: what it writes, and how it goes on. The golden model learns for two steps a stage, so that most
// of the time is that of drawing scenes.
#include <signal.h>

#include <chrono>
#include <map>
#include <thread>

#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;
using std::filesystem::exists;

const char* const kStages[]{"vision", "joint", "polish"};

class TrainTinyRun : public ::testing::Test {
 protected:
  std::vector<std::string> words(const std::string& out) const {
    return {"train-tiny",
            "-m",
            kGolden,
            "--mask-decoder",
            source_dir() + "/models/tiny/vae-oid.npz",
            "--steps",
            "2",
            "--reference",
            "--out",
            path(out)};
  }
  Ran learn(const std::string& out, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = words(out);
    all.insert(all.end(), more.begin(), more.end());
    return run_program(all);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  // Runs until this file is there.
  int stopped(const std::string& out, int signal, const std::string& file) const {
    std::vector<std::string> all = words(out);
    all.insert(all.begin(), program());
    const pid_t child = ::fork();
    if (child == 0) {
      auto variables = detail::environment_with({});
      const auto arguments = detail::pointers(all), environment = detail::pointers(variables);
      ::execvpe(arguments[0], arguments.data(), environment.data());
      ::_exit(127);
    }
    for (int i = 0; i < 100000 && !exists(path(out) + file); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ::kill(child, signal);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::vector<json> lines_of(const std::string& log) const {
    std::vector<json> all;
    std::istringstream lines(read_bytes(path(log)));
    for (std::string line; std::getline(lines, line);) {
      all.push_back(json::parse(line));
      all.back().erase("seconds");
    }
    return all;
  }

  TemporaryFolder folder_;
};

TEST_F(TrainTinyRun, WritesAModelThatAnswers) {
  const Ran ran = learn("out", {"--json"});
  ASSERT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(json::parse(ran.out), json({{"model", path("out")}}));
  for (const char* stage : kStages) {
    const std::string folder = std::string("out/") + stage;
    EXPECT_TRUE(exists(path(folder + "/training.safetensors"))) << stage;
    EXPECT_TRUE(read_bytes(path(folder + "/curve.svg")).starts_with("<svg")) << stage;
    EXPECT_NE(ran.err.find(std::string(stage) + ": 2 steps, loss "), std::string::npos) << ran;
    const auto log = lines_of(folder + "/log.jsonl");
    ASSERT_EQ(log.size(), 1u) << stage;
    EXPECT_EQ(log[0].at("step"), 2);
    EXPECT_EQ(log[0].contains("validation_loss"), stage != std::string("vision"));
    EXPECT_EQ(log[0].at("tokens") > 0, stage != std::string("vision"));
  }
  EXPECT_TRUE(read_bytes(path("out/tokenizer.model")) == read_bytes(kGolden + "/tokenizer.model"));
  const Ran answer = run_program({"caption", kPicture, "-m", path("out"), "-n", "3"});
  EXPECT_EQ(answer.exit_code, 0) << answer;

  // It has learned what it was to learn, and kept nothing of the model that lent its shape.
  const StoredTensors before = read_tensors(kGolden + "/model.safetensors");
  const StoredTensors after = read_tensors(path("out/model.safetensors"));
  ASSERT_EQ(after.size(), before.size());
  for (const auto& [name, tensor] : after) EXPECT_NE(tensor.bytes, before.at(name).bytes) << name;

  // What is done is done; another run is not gone on with.
  const Ran again = learn("out");
  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_EQ(again.out, path("out") + "\n");
  EXPECT_TRUE(refuses(learn("out", {"--seed", "5"}), 2, {"another run", "seed"}));
}

// The reference's numbers are those of a run that was never stopped, bit for bit.
TEST_F(TrainTinyRun, GoesOnAfterAKill) {
  ASSERT_EQ(learn("whole").exit_code, 0);
  EXPECT_EQ(stopped("killed", SIGKILL, "/vision/log.jsonl"), 128 + SIGKILL);  // nothing is saved
  EXPECT_EQ(stopped("killed", SIGINT, "/vision/log.jsonl"), 128 + SIGINT);
  EXPECT_EQ(stopped("killed", SIGTERM, "/joint/log.jsonl"), 128 + SIGTERM);
  EXPECT_EQ(stopped("killed", SIGKILL, "/polish/log.jsonl"), 128 + SIGKILL);
  const Ran ran = learn("killed");
  ASSERT_EQ(ran.exit_code, 0) << ran;
  for (const char* stage : kStages) {
    const std::string log = std::string("/") + stage + "/log.jsonl";
    EXPECT_EQ(lines_of("killed" + log), lines_of("whole" + log)) << stage;
    const std::string saved = std::string("/") + stage + "/training.safetensors";
    EXPECT_TRUE(read_bytes(path("killed" + saved)) == read_bytes(path("whole" + saved))) << stage;
  }
  EXPECT_TRUE(read_bytes(path("killed/model.safetensors")) ==
              read_bytes(path("whole/model.safetensors")));
}

}  // namespace
}  // namespace paligemma
