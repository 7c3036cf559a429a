// paligemma finetune: what it writes, how it goes on, and what it refuses.
#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/checkpoint_files.h"
#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

class Finetune : public ::testing::Test {
 protected:
  static Ran learn(const std::vector<std::string>& more, const std::string& model = kGolden) {
    std::vector<std::string> all{
        "finetune", "-m",     model,        "--data",    model + "/training/lines.jsonl",
        "--batch",  "2",      "--schedule", "constant",  "--lr",
        "1e-4",     "--clip", "0",          "--shuffle", "false"};
    all.insert(all.end(), more.begin(), more.end());
    return run_program(all);
  }
  static std::vector<json> lines_of(const std::filesystem::path& path) {
    std::vector<json> all;
    std::istringstream lines(read_bytes(path));
    for (std::string line; std::getline(lines, line);) all.push_back(json::parse(line));
    return all;
  }
  // Without the time that each took.
  static std::vector<json> numbers_of(const std::filesystem::path& path) {
    std::vector<json> all = lines_of(path);
    for (json& line : all) line.erase("seconds");
    return all;
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  // A first line that is bad, and the golden ones.
  std::string with_bad_line(const std::string& bad) const {
    const auto data = folder_ / "data";
    std::filesystem::create_directories(data);
    for (const char* picture : {"0.png", "1.png", "2.png", "3.png"}) {
      std::filesystem::copy_file(kGolden + "/training/" + picture, data / picture,
                                 std::filesystem::copy_options::overwrite_existing);
    }
    write_text(data / "lines.jsonl", bad + "\n" + read_bytes(kLines));
    return data / "lines.jsonl";
  }

  static inline const std::string kLines = kGolden + "/training/lines.jsonl";
  TemporaryFolder folder_;
};
class FinetuneOf : public Finetune, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Golden, FinetuneOf, ::testing::Values(1, 2));

// tests/golden/README.md, "Training". Fast's sums have another order, and each step's loss depends on all before.
TEST_P(FinetuneOf, IsTorchsTraining) {
  const std::string golden = GetParam() == 1 ? kGolden : kGolden2;
  const json expected = json::parse(read_bytes(golden + "/training/steps.json"));
  for (const bool by_reference : {true, false}) {
    const std::string out = path(by_reference ? "reference" : "fast");
    std::vector<std::string> flags{"--steps", "6", "--weight-decay", "0.01",
                                   "--out",   out, "--log",          out + ".jsonl"};
    if (by_reference) flags.emplace_back("--reference");
    const Ran ran = learn(flags, golden);
    ASSERT_EQ(ran.exit_code, 0) << ran;
    EXPECT_TRUE(ran.out.starts_with("step 6: loss ")) << ran;
    const auto log = lines_of(out + ".jsonl");
    ASSERT_EQ(log.size(), 6u);
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(log[i]["step"], i + 1);
      EXPECT_EQ(log[i]["lr"], 1e-4);
      const double loss = expected["losses"][i], norm = expected["grad_norms"][i];
      EXPECT_NEAR(log[i]["loss"].get<double>(), loss, 3e-4 * loss) << i;
      EXPECT_NEAR(log[i]["grad_norm"].get<double>(), norm, 1e-3 * norm) << i;
    }
  }
}

// What was written is a model, which has learned.
TEST_F(Finetune, WritesAModelThatSaysWhatItLearned) {
  const Ran ran = run_program({"finetune", "-m", kGolden, "--data", kLines, "--out", path("out"),
                               "--lr", "1e-2", "--epochs", "60", "--batch", "4", "--json"});
  ASSERT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(json::parse(ran.out)["step"], 60);
  const Ran scores = run_program({"eval", "-m", path("out"), "--data", kLines, "--json"});
  ASSERT_EQ(scores.exit_code, 0) << scores;
  const json found = json::parse(scores.out);
  EXPECT_EQ(found["n"], 4);
  EXPECT_EQ(found["exact"], 1.0) << scores;
  EXPECT_EQ(found["miou"], 1.0) << scores;
  const json before =
      json::parse(run_program({"eval", "-m", kGolden, "--data", kLines, "--json"}).out);
  EXPECT_EQ(before["exact"], 0.0);
}

TEST_F(Finetune, WritesAnAdapterThatSaysWhatItLearned) {
  const Ran ran = run_program({"finetune", "-m", kGolden, "--data", kLines, "--out", path("out"),
                               "--lora", "8", "--lora-targets", "all-linear", "--lr", "1e-2",
                               "--epochs", "150", "--batch", "4"});
  ASSERT_EQ(ran.exit_code, 0) << ran;
  const Ran scores =
      run_program({"eval", "-m", kGolden, "--adapter", path("out"), "--data", kLines, "--json"});
  ASSERT_EQ(scores.exit_code, 0) << scores;
  EXPECT_EQ(json::parse(scores.out)["exact"], 1.0) << scores;
}

// The reference's numbers are those of a run that was never stopped, bit for bit.
TEST_F(Finetune, GoesOnAfterAKill) {
  const std::vector<std::string> flags{"--reference", "--steps", "30", "--every", "4"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), flags.begin(), flags.end());
    return more;
  };
  ASSERT_EQ(learn(with({"--out", path("whole"), "--log", path("whole.jsonl")})).exit_code, 0);
  std::vector<std::string> words{program(),    "finetune",
                                 "-m",         kGolden,
                                 "--data",     kLines,
                                 "--batch",    "2",
                                 "--schedule", "constant",
                                 "--lr",       "1e-4",
                                 "--clip",     "0",
                                 "--shuffle",  "false",
                                 "--out",      path("killed"),
                                 "--log",      path("killed.jsonl")};
  words.insert(words.end(), flags.begin(), flags.end());
  for (const int signal : {SIGKILL, SIGINT, SIGTERM}) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto variables = detail::environment_with({});
      const auto arguments = detail::pointers(words), environment = detail::pointers(variables);
      ::execvpe(arguments[0], arguments.data(), environment.data());
      ::_exit(127);
    }
    const std::size_t before =
        std::filesystem::exists(path("killed.jsonl")) ? lines_of(path("killed.jsonl")).size() : 0;
    const auto written = [&] {
      return std::filesystem::exists(path("killed.jsonl"))
                 ? count_lines(read_bytes(path("killed.jsonl")))
                 : 0;
    };
    for (int i = 0; i < 10000 && (written() < before || written() < before + 3); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ::kill(child, signal);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (signal != SIGKILL && WIFEXITED(status) && WEXITSTATUS(status) != 0) {
      EXPECT_EQ(WEXITSTATUS(status), 128 + signal);
    }
  }
  const Ran ran = learn(with({"--out", path("killed"), "--log", path("killed.jsonl")}));
  ASSERT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(numbers_of(path("killed.jsonl")), numbers_of(path("whole.jsonl")));
  for (const char* file : {"/model.safetensors", "/training.safetensors"}) {
    EXPECT_TRUE(read_bytes(path("killed") + file) == read_bytes(path("whole") + file)) << file;
  }
  const Ran again = learn(with({"--out", path("killed"), "--log", path("killed.jsonl")}));
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_NE(again.out.find("nothing left to do"), std::string::npos) << again;
}

TEST_F(Finetune, KeepsTheBestOfTheValidation) {
  const Ran ran =
      learn({"--steps", "6", "--every", "1", "--validation", kLines, "--out", path("out"), "--log",
             path("log.jsonl"), "--curve", path("curve.svg"), "--json"});
  ASSERT_EQ(ran.exit_code, 0) << ran;
  double best = INFINITY;
  for (const json& line : lines_of(path("log.jsonl"))) {
    best = std::min(best, line.at("validation_loss").get<double>());
  }
  EXPECT_NEAR(json::parse(ran.out)["validation_loss"].get<double>(), best, 1e-5 * best);
  EXPECT_TRUE(read_bytes(path("curve.svg")).starts_with("<svg"));
}

TEST_F(Finetune, RefusesWhatIsNotItsOwn) {
  std::filesystem::create_directory(path("full"));
  write_text(folder_ / "full/thesis.txt", "do not lose this");
  EXPECT_TRUE(refuses(learn({"--steps", "1", "--out", path("full")}), 2, {"something else"}));
  EXPECT_TRUE(refuses(learn({"--steps", "1", "--out", path("full/thesis.txt")}), 2, {"no folder"}));
  write_text(folder_ / "log.jsonl", "a diary\n");
  EXPECT_TRUE(refuses(learn({"--steps", "1", "--out", path("out"), "--log", path("log.jsonl")}), 2,
                      {"log.jsonl", "no log"}));
  EXPECT_EQ(read_bytes(path("log.jsonl")), "a diary\n");

  ASSERT_EQ(learn({"--steps", "1", "--out", path("out")}).exit_code, 0);
  EXPECT_TRUE(refuses(learn({"--steps", "2", "--seed", "5", "--out", path("out")}), 2,
                      {"another run", "seed"}));
  EXPECT_EQ(learn({"--steps", "2", "--out", path("out")}).exit_code,
            0);  // longer, under a constant rate
}

TEST_F(Finetune, SaysWhichLineIsBad) {
  struct Bad {
    std::string line;
    int exit_code;
    std::string word;
  };
  for (const Bad& bad :
       {Bad{"{", 2, "line 1"}, Bad{R"({"image": "0.png", "prefix": "a"})", 2, "suffix"},
        Bad{R"({"image": "9.png", "prefix": "a", "suffix": "b"})", 5, "9.png"},
        Bad{R"({"image": "lines.jsonl", "prefix": "a", "suffix": "b"})", 5, "lines.jsonl"}}) {
    const std::string data = with_bad_line(bad.line);
    std::filesystem::remove_all(path("out"));
    const auto run = [&](std::vector<std::string> more) {
      std::vector<std::string> all{"finetune", "-m",        kGolden,   "--data", data,
                                   "--out",    path("out"), "--steps", "3",      "--batch",
                                   "2",        "--shuffle", "false"};
      all.insert(all.end(), more.begin(), more.end());
      return run_program(all);
    };
    EXPECT_TRUE(refuses(run({}), bad.exit_code, {bad.word}));
    const Ran ran = run({"--skip-bad"});
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_NE(ran.err.find("note: "), std::string::npos) << ran;
  }
}

TEST_F(Finetune, StopsWhereALossIsNoNumber) {
  const Ran ran = run_program({"finetune", "-m", kGolden, "--data", kLines, "--steps", "9", "--lr",
                               "1e30", "--optimizer", "sgd", "--out", path("out")});
  EXPECT_EQ(ran.exit_code, 1) << ran;
  EXPECT_NE(ran.err.find("is not a number"), std::string::npos) << ran;
}

TEST_F(Finetune, SaysWhatFlagIsWrong) {
  const auto refused = [&](std::vector<std::string> more, const std::string& word) {
    more.insert(more.end(), {"--out", path("out")});
    EXPECT_TRUE(refuses(learn(more), 2, {word}));
  };
  EXPECT_TRUE(refuses(run_program({"finetune"}), 2, {"--data"}));
  EXPECT_TRUE(refuses(run_program({"finetune", "--data", kLines}), 2, {"--out"}));
  refused({"--steps", "1", "--epochs", "1"}, "--epochs");
  refused({"--steps", "0"}, "--steps");
  refused({"--lr", "-1"}, "--lr");
  refused({"--optimizer", "adam"}, "adamw, muon");
  refused({"--freeze", "("}, "--freeze");
  refused({"--freeze", "."}, "nothing is left");
  refused({"--lora", "2", "--lora-targets", "nowhere"}, "--lora-targets");
  refused({"--lora", "2", "--freeze", "x"}, "--freeze");
  refused({"--lora-alpha", "2"}, "--lora");
  refused({"--dtype", "int8"}, "--lora");
  refused({"--device", "emulated"}, "CPU");
  refused({"--device", "cuda"}, "CPU");
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

}  // namespace
}  // namespace paligemma
