// What people type out of habit from other programs means the same here.
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

// Everything that a run shows, but for its numbers on stderr and the time that it took.
std::string outcome(const std::vector<std::string>& words, const Surroundings& around = {}) {
  const Ran ran = run_program(words, around);
  json object = json::parse(ran.out, nullptr, false);
  if (object.is_object()) object.erase("timings_ms");
  std::string notes = ran.err;
  std::erase_if(notes, [](unsigned char c) { return std::isdigit(c) || c == ' '; });
  return std::to_string(ran.exit_code) + (object.is_discarded() ? ran.out : object.dump()) + notes;
}

// A whole command line in our spelling, flag by flag, where `flag` is spelt or given differently.
std::vector<std::string> line_with(const std::string& flag, const std::string& spelt,
                                   const std::string& value) {
  std::map<std::string, std::string> flags{{"--model", kGolden},
                                           {"--image", kPicture},
                                           {"--prompt", "caption en"},
                                           {"--max-tokens", "4"},
                                           {"--json", ""}};
  if (flag == "--hf-repo") flags.erase("--model");
  if (flag == "--file") flags.erase("--prompt");
  flags.erase(flag);
  std::vector<std::string> words{spelt};
  if (!value.empty()) words.push_back(value);
  for (const auto& [name, given] : flags) {
    words.push_back(name);
    if (!given.empty()) words.push_back(given);
  }
  return words;
}

// Flag to aliases, from --help-all: "  --max-tokens: --max-new-tokens, --sample-len".
std::map<std::string, std::vector<std::string>> documented_aliases() {
  std::string text = run_program({"--help-all"}).out;
  std::istringstream lines(text.substr(text.find("Aliases:\n") + 9));
  std::map<std::string, std::vector<std::string>> aliases;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream theirs(line.substr(line.find(": ") + 2));
    for (std::string alias; std::getline(theirs >> std::ws, alias, ',');) {
      aliases[line.substr(2, line.find(": ") - 2)].push_back(alias);
    }
  }
  return aliases;
}

struct Flag {
  std::string ours, value = {};
  friend std::ostream& operator<<(std::ostream& out, const Flag& flag) { return out << flag.ours; }
};
const std::vector<Flag> kFlags{{"(no effect)"},
                               {"--adapter", kGolden + "/adapters/language"},
                               {"--device=cpu"},
                               {"--do-sample"},
                               {"--dtype", "bfloat16"},
                               {"--file", kGolden + "/generation_config.json"},
                               {"--hf-repo", "org/name"},
                               {"--image", kPicture},
                               {"--json"},
                               {"--list-devices"},
                               {"--max-tokens", "3"},
                               {"--model", kGolden},
                               {"--perf"},
                               {"--skip-special-tokens"},
                               {"--min-p", "0.1"},
                               {"--repetition-penalty", "1.3"},
                               {"--no-repeat-ngram-size", "2"},
                               {"--suppress-tokens", "7,8"},
                               {"--num-beams", "2"},
                               {"--penalty-alpha", "0.6"},
                               {"--prompt-lookup", "2"},
                               {"--length-penalty", "1"},
                               {"--early-stopping", "False"},
                               {"--num-return-sequences", "1"},
                               {"--temperature", "1.5"},
                               {"--tokenizer", kGolden + "/tokenizer.model"},
                               {"--top-k", "3"},
                               {"--top-p", "0.5"},
                               {"--trace", "/dev/null"},
                               {"-q"},
                               {"-v"}};

TEST(Aliases, AreAllTriedHere) {
  std::set<std::string> documented, tried;
  for (const auto& [ours, theirs] : documented_aliases()) documented.insert(ours);
  for (const Flag& flag : kFlags) tried.insert(flag.ours);
  EXPECT_EQ(documented, tried);
}

class AliasesOf : public ::testing::TestWithParam<Flag> {};
INSTANTIATE_TEST_SUITE_P(Every, AliasesOf, ::testing::ValuesIn(kFlags), [](const auto& tried) {
  std::string name;
  for (char c : tried.param.ours) name += std::isalpha(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

TEST_P(AliasesOf, TheFlagMeanTheSame) {
  TemporaryFolder folder;
  copy_golden(folder / "models--org--name/snapshots/abc");
  const Surroundings around{.environment = {{"HF_HUB_CACHE", folder.path()}}};
  const auto& [ours, value] = GetParam();
  const std::string flag = ours.substr(0, ours.find('='));  // of "--device=cpu"
  const std::string spelt = ours == "(no effect)" ? "--verbosity=1" : ours;
  const std::string expected = outcome(line_with(flag, spelt, value), around);
  const auto documented = documented_aliases();
  for (const std::string& alias : documented.at(ours)) {
    EXPECT_EQ(outcome(line_with(flag, alias, value), around), expected) << alias;
  }
}

TEST(Aliases, TakeTheirValueBehindAnEqualsSignToo) {
  for (const char* flag : {"--max_new_tokens=2", "--sample-len=2", "--max-tokens=2", "-n=2"}) {
    EXPECT_EQ(outcome(line_with("--max-tokens", flag, "")),
              outcome(line_with("--max-tokens", "-n", "2")))
        << flag;
  }
}

TEST(Aliases, OfJsonMayBeTwoWords) {
  EXPECT_EQ(outcome(line_with("--json", "--format", "json")),
            outcome(line_with("--json", "--json", "")));
  EXPECT_TRUE(refuses(run_program(line_with("--json", "--format", "xml")), 2, {"--format"}));
}

TEST(Aliases, OfQuietSilenceNotes) {
  const std::vector<std::string> noted{"-m", kGolden, "--image", kPicture,
                                       "-p", "ocr\n", "-n",      "1"};
  for (const char* flag : {"-q", "--quiet", "--log-disable"}) {
    auto words = noted;
    words.push_back(flag);
    EXPECT_EQ(run_program(words).err, "") << flag;
  }
}

TEST(Aliases, OfPerfShowTheTimes) {
  for (const char* flag : {"--perf", "--timings"}) {
    EXPECT_EQ(count_lines(run_program(line_with(flag, flag, "")).err), 1u + 3u) << flag;
  }
}

// Each line of the table (cli/foreign_flags.cpp), in some of its spellings.
TEST(ForeignFlags, HaveALineOfTheirOwn) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> said{
      {"-m names all of it", {"--mmproj", "-mm", "--no-mmproj", "--mmproj=x.gguf"}},
      {"--device", {"-ngl", "--gpu-layers", "--n-gpu-layers=99", "--device_map", "-ts"}},
      {"positions", {"-c", "--ctx-size", "--ctx-size=4096", "--max-model-len", "--max_seq_len"}},
      {"-n bounds the answer alone", {"--max_length", "--max-length"}},
      {"one step", {"-b", "-ub", "--batch-size"}},
      {"-t is", {"-tb", "--threads-batch"}},
      {"--reference", {"-fa", "--flash-attn", "--attn_implementation"}},
      {"mapped", {"--mlock", "--no-mmap"}},
      {"cache", {"-ctk", "--cache-type-v"}},
      {"paligemma quantize", {"--load_in_8bit", "--load-in-4bit"}},
      {"--repetition-penalty looks", {"--repeat-penalty", "--repeat-last-n"}},
      {"--temperature", {"--typical", "--presence_penalty", "--num_beam_groups", "--mirostat"}},
      {"no chat model", {"-sys", "--chat-template", "--jinja", "-cnv"}},
      {"nothing is downloaded", {"-mu", "--hf-file", "--cache_dir", "--token"}},
      {"no code", {"--trust_remote_code"}},
      {"--adapter FOLDER", {"--lora-scaled"}}};
  std::vector<std::string> words{"-m", kGolden, "--image", kPicture, "-p", "ocr", "", "99"};
  for (const auto& [instead, flags] : said) {
    for (const std::string& flag : flags) {
      words[6] = flag;
      const std::string name = flag.substr(0, flag.find('='));
      EXPECT_TRUE(refuses(run_program(words), 2, {name + " is not known here: ", instead}));
    }
  }
  const Ran ran = run_program({"-m", kGolden, "--image", kPicture, "-n", "1", "-p", "-ngl"});
  EXPECT_EQ(ran.exit_code, 0) << "a prompt may look like a flag" << ran;
}

// The command lines that other programs' manuals show, with our model's folder in them.
class HabitFrom : public ::testing::Test {
 protected:
  const std::string greedy_ =
      run_program({"-m", kGolden, "--image", kPicture, "-p", "caption en", "-n", "5"}).out;
  void expect_greedy(const std::vector<std::string>& words, const Surroundings& around = {}) {
    const Ran ran = run_program(words, around);
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(ran.out, greedy_) << ran;
  }
};

TEST_F(HabitFrom, VlmverseAndPytorchPaligemma) {
  for (const char* only_cpu : {"True", "False"}) {
    expect_greedy({"--model_path", kGolden, "--prompt", "caption en", "--image_file_path", kPicture,
                   "--max_tokens_to_generate", "5", "--temperature", "0.8", "--top_p", "0.9",
                   "--do_sample", "False", "--only_cpu", only_cpu});
  }
  const std::vector<std::string> ours{"-m", kGolden, "--image", kPicture, "-p",      "caption en",
                                      "-n", "5",     "--temp",  "0.8",    "--top-p", "0.9"};
  EXPECT_EQ(run_program({"--model_path", kGolden, "--prompt", "caption en", "--image_file_path",
                         kPicture, "--max_tokens_to_generate", "5", "--temperature", "0.8",
                         "--top_p", "0.9", "--do_sample", "True", "--only_cpu", "False"})
                .out,
            run_program(ours).out);
}

TEST_F(HabitFrom, LlamaCpp) {
  TemporaryFolder folder;
  copy_golden(folder / "models--org--name/snapshots/abc");
  expect_greedy({"-m", kGolden, "--image", kPicture, "-p", "caption en", "-n", "5", "--temp", "0",
                 "--no-display-prompt", "--log-disable"});
  expect_greedy({"-hf", "org/name", "--image", kPicture, "-p", "caption en", "-n", "5"},
                {.environment = {{"HF_HUB_CACHE", folder.path()}}});
}

TEST_F(HabitFrom, MlxVlm) {
  expect_greedy({"--model", kGolden, "--max-tokens", "5", "--temperature", "0.0", "--image",
                 kPicture, "--prompt", "caption en", "--verbose"});
}

TEST_F(HabitFrom, Candle) {
  expect_greedy({"--prompt", "caption en", "--image", kPicture, "--cpu", "--seed", "299792458",
                 "--sample-len", "5", "--model-id", kGolden, "--revision", "main",
                 "--tokenizer-file", kGolden + "/tokenizer.model"});
}

TEST_F(HabitFrom, GemmaCpp) {
  expect_greedy({"--tokenizer", kGolden + "/tokenizer.model", "--weights",
                 kGolden + "/model.safetensors", "--image_file", kPicture, "--prompt", "caption en",
                 "--max_generated_tokens", "5", "--temperature", "0", "--top_k", "1", "--verbosity",
                 "0"});
}

TEST_F(HabitFrom, NanoVlmAndTransformers) {
  expect_greedy(
      {"--model", kGolden, "--image", kPicture, "--prompt", "caption en", "--max_new_tokens", "5"});
  expect_greedy({"--model", kGolden, "--image", kPicture, "--prompt", "caption en",
                 "--max-new-tokens", "5", "--do-sample=False"});
}

}  // namespace
}  // namespace paligemma
