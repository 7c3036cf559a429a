// Which command takes which flag: docs/cli.md, "Which command takes what". What a command does not
// honour, it refuses.
#include <algorithm>
#include <sstream>

#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;
using Words = std::vector<std::string>;

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

using Commands = std::set<std::string>;  // "" is the general form, a prompt in the user's own words
Commands operator+(Commands a, const Commands& b) {
  a.insert(b.begin(), b.end());
  return a;
}
const Commands kAsk{"", "caption", "answer", "detect", "segment", "ocr"};

struct Flag {
  Words words;
  Commands commands;
};
const Commands kOfAModel{"embed",    "eval",  "finetune", "train-tiny", "bench",
                         "quantize", "merge", "inspect",  "tokenize"};
const std::vector<Flag> kFlags{
    {{"--model", "x"}, kAsk + kOfAModel},
    {{"--hf-repo", "x"}, kAsk + kOfAModel},
    {{"--revision", "x"}, kAsk + kOfAModel},
    {{"--adapter", "x"}, kAsk + Commands{"embed", "eval", "bench", "merge"}},
    {{"--json"},
     kAsk + Commands{"embed", "scene", "eval", "finetune", "train-tiny", "bench", "inspect",
                     "tokenize", "presets"}},
    {{"--dtype", "bf16"}, kAsk + Commands{"embed", "eval", "finetune", "bench", "quantize"}},
    {{"--threads", "1"},
     kAsk +
         Commands{"embed", "eval", "finetune", "train-tiny", "bench", "quantize", "merge", "init"}},
    {{"--device", "cpu"}, kAsk + Commands{"embed", "eval", "finetune", "train-tiny", "bench"}},
    {{"--kernels", "portable"},
     kAsk + Commands{"embed", "eval", "finetune", "train-tiny", "bench"}},
    {{"--reference"}, kAsk + Commands{"embed", "eval", "finetune", "train-tiny", "bench"}},
    {{"--tokenizer", "x"}, kAsk + Commands{"eval", "finetune", "tokenize", "init"}},
    {{"--mask-decoder", "x"}, kAsk + Commands{"eval", "train-tiny"}},
    {{"--softcap", "off"}, kAsk + Commands{"eval"}},
    {{"--sliding-window", "off"}, kAsk + Commands{"eval"}},
    {{"--orientation", "ignore"}, kAsk + Commands{"embed"}},
    {{"--resize", "bilinear"}, kAsk + Commands{"embed", "eval", "finetune"}},
    {{"--output", "x"}, kAsk + Commands{"embed", "scene", "quantize", "merge", "init"}},
    {{"--seed", "1"}, kAsk + Commands{"finetune", "train-tiny", "scene", "init"}},
    {{"--image", "x"}, kAsk + Commands{"embed"}},
    {{"--pixels", "x"}, kAsk + Commands{"embed"}},
    {{"--max-tokens", "1"}, kAsk},
    {{"--temperature", "1"}, kAsk},
    {{"--top-p", "1"}, kAsk},
    {{"--top-k", "1"}, kAsk},
    {{"--do-sample"}, kAsk},
    {{"--min-p", "0.1"}, kAsk},
    {{"--repetition-penalty", "2"}, kAsk},
    {{"--no-repeat-ngram-size", "2"}, kAsk},
    {{"--suppress-tokens", "1"}, kAsk},
    {{"--num-beams", "2"}, kAsk},
    {{"--penalty-alpha", "0"}, kAsk},
    {{"--prompt-lookup", "2"}, kAsk},
    {{"--length-penalty", "1"}, kAsk},
    {{"--early-stopping"}, kAsk},
    {{"--num-return-sequences", "1"}, kAsk},
    {{"--stop", "x"}, kAsk},
    {{"--top-logprobs", "0"}, kAsk},
    {{"--skip-special-tokens"}, kAsk},
    {{"--perf"}, kAsk},
    {{"--dump", "x"}, kAsk},
    {{"--trace", "x"}, kAsk},
    {{"--batch", "2"}, kAsk + Commands{"finetune", "bench"}},
    {{"--jsonl", "x"}, {"", "tokenize"}},
    {{"--out", "x"}, {"", "finetune", "train-tiny"}},
    {{"--shard", "0/1"}, {""}},
    {{"--prompt", "x"}, {"", "tokenize"}},
    {{"--file", "x"}, {"", "tokenize"}},
    {{"--tokens", "1"}, {""}},
    {{"--loss"}, {""}},
    {{"--top-k-share", "0.9"}, {""}},
    {{"--top-a", "0.1"}, {""}},
    {{"--max-mem-len", "1"}, {""}},
    {{"--lang", "fr"}, {"caption", "answer"}}};
// These stand behind their command, so that elsewhere they are unknown. --lora, a rank of `finetune`, is an adapter
// elsewhere.
const std::vector<Flag> kOwnFlags{{{"--split", "val"}, {"scene", "eval"}},
                                  {{"--data", "x"}, {"finetune", "eval"}},
                                  {{"--skip-bad"}, {"finetune", "eval"}},
                                  {{"--validation", "x"}, {"finetune"}},
                                  {{"--epochs", "1"}, {"finetune"}},
                                  {{"--steps", "1"}, {"finetune", "train-tiny"}},
                                  {{"--photos", "x"}, {"train-tiny"}},
                                  {{"--accumulate", "1"}, {"finetune"}},
                                  {{"--lr", "1"}, {"finetune"}},
                                  {{"--schedule", "linear"}, {"finetune"}},
                                  {{"--warmup", "1"}, {"finetune"}},
                                  {{"--optimizer", "sgd"}, {"finetune"}},
                                  {{"--weight-decay", "0"}, {"finetune"}},
                                  {{"--no-decay", "x"}, {"finetune"}},
                                  {{"--clip", "1"}, {"finetune"}},
                                  {{"--dropout", "0"}, {"finetune"}},
                                  {{"--label-smoothing", "0"}, {"finetune"}},
                                  {{"--ema", "0"}, {"finetune"}},
                                  {{"--freeze", "x"}, {"finetune", "bench"}},
                                  {{"--lora-alpha", "1"}, {"finetune"}},
                                  {{"--lora-targets", "x"}, {"finetune", "bench"}},
                                  {{"--recompute", "blocks"}, {"finetune", "bench"}},
                                  {{"--every", "1"}, {"finetune"}},
                                  {{"--shuffle", "true"}, {"finetune"}},
                                  {{"--log", "x"}, {"finetune"}},
                                  {{"--curve", "x"}, {"finetune"}},
                                  {{"--masks"}, {"scene"}},
                                  {{"--board"}, {"scene"}},
                                  {{"--scenes", "1"}, {"eval"}},
                                  {{"--rounds", "1"}, {"bench"}},
                                  {{"--train"}, {"bench"}},
                                  {{"--sparse"}, {"init"}},
                                  {{"--padding", "left"}, {"tokenize"}},
                                  {{"--pool", "mean"}, {"embed"}},
                                  {{"--projected"}, {"embed"}},
                                  {{"--normalize"}, {"embed"}},
                                  {{"--cosine"}, {"embed"}}};

class EveryFlagOf : public ::testing::TestWithParam<std::string> {
 protected:
  // Nothing runs: a flag that is not there yet is refused once all others have been taken.
  static ::testing::AssertionResult is_taken(const Words& words) {
    return refuses(run_program(words + Words{"--report", "x"}), 2, {"--report is not"});
  }
  static Words command() { return GetParam().empty() ? Words{} : Words{GetParam()}; }
};
INSTANTIATE_TEST_SUITE_P(Command, EveryFlagOf,
                         ::testing::Values("", "caption", "answer", "detect", "segment", "ocr",
                                           "embed", "scene", "eval", "finetune", "train-tiny",
                                           "bench", "quantize", "merge", "init", "inspect",
                                           "tokenize", "presets", "completion-bash"),
                         [](const auto& command) {
                           std::string name = command.param.empty() ? "none" : command.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(EveryFlagOf, IsHonouredOrRefused) {
  for (const auto& [flag, commands] : kFlags) {
    if (commands.contains(GetParam())) {
      EXPECT_TRUE(is_taken(command() + flag)) << flag[0];
    } else {
      EXPECT_TRUE(refuses(run_program(command() + flag), 2, {GetParam(), flag[0]})) << flag[0];
    }
  }
  for (const auto& [flag, commands] : kOwnFlags) {
    if (commands.contains(GetParam())) {
      EXPECT_TRUE(is_taken(command() + flag)) << flag[0];
    } else {
      EXPECT_TRUE(refuses(run_program(command() + flag), 2, {"unknown flag " + flag[0]}));
    }
  }
}

TEST_P(EveryFlagOf, ThatIsForAllIsTaken) {
  for (const Words& flag : std::vector<Words>{{"-v"}, {"-q"}, {"--verbosity", "0"}}) {
    EXPECT_TRUE(is_taken(command() + flag)) << flag[0];
  }
  for (const char* flag : {"--help", "--help-all", "--version", "--list-devices"}) {
    EXPECT_EQ(run_program(command() + Words{flag}).exit_code, 0) << flag;
  }
}

// A new flag must have its line above.
TEST(EveryFlag, IsInTheTable) {
  std::set<std::string> known{"--help",         "--help-all",  "--version",
                              "--list-devices", "--verbosity", "--report"};
  for (const auto& table : {kFlags, kOwnFlags}) {
    for (const Flag& flag : table) known.insert(flag.words[0]);
  }
  std::istringstream help(run_program({"--help"}).out);
  for (std::string word; help >> word;) {
    const auto begin = word.find("--");
    if (begin == word.npos || !(begin == 0 || word[begin - 1] == ',')) continue;
    const auto end = word.find_first_of(",)", begin);
    EXPECT_TRUE(known.contains(word.substr(begin, end - begin))) << word;
  }
}

// As -m "$MODEL" is where there is no such variable. It must not be the default model that answers then.
TEST(EveryFlag, HasAValueThatIsNotEmpty) {
  for (const auto& table : {kFlags, kOwnFlags}) {
    for (const auto& [flag, commands] : table) {
      const bool may_be_empty = flag[0] == "--prompt" || flag[0] == "--image";
      if (flag.size() == 1 || may_be_empty) continue;
      const Words command = commands == Commands{""} ? Words{} : Words{*commands.rbegin()};
      EXPECT_TRUE(refuses(run_program(command + Words{flag[0], ""}), 2, {flag[0] + " is empty"}));
      EXPECT_TRUE(refuses(run_program(command + Words{flag[0] + "="}), 2, {flag[0]})) << flag[0];
    }
  }
  EXPECT_TRUE(refuses(run_program({"inspect", ""}), 2, {"model is empty"}));
  EXPECT_TRUE(refuses(run_program({"-m", "", "--image", kPicture, "-p", "ocr"}), 2, {"--model"}));
}

TEST(EveryFlag, IsGivenOnce) {
  const auto refused = [](const Words& words, const std::string& one, const std::string& other) {
    EXPECT_TRUE(refuses(run_program(words), 2, {one, other}));
  };
  refused({"inspect", "tiny", "-m", "tiny"}, "model", "--model");
  refused({"quantize", "tiny", "x", "-m", "tiny", "--dtype", "int8"}, "model", "--model");
  refused({"quantize", "tiny", "x", "-o", "y", "--dtype", "int8"}, "out", "--output");
  refused({"tokenize", "a", "-p", "b"}, "text", "--prompt");
  refused({"scene", "red circle", "--seed", "1"}, "description", "--seed");
  refused({"scene", "red circle", "--split", "val"}, "description", "--split");
  refused({"inspect", "-v", "-q"}, "-v", "-q");
  refused({"inspect", "-v", "--verbosity", "1"}, "-v", "--verbosity");
  refused({"inspect", "-q", "--verbosity", "1"}, "-q", "--verbosity");
  refused({"inspect", "-m", "tiny", "--hf-repo", "a/b"}, "--model", "--hf-repo");
  EXPECT_EQ(run_program({"inspect", "-m", "tiny"}).out, run_program({"inspect", "tiny"}).out);
  EXPECT_EQ(run_program({"tokenize", "-p", "ocr"}).out, run_program({"tokenize", "ocr"}).out);
}

}  // namespace
}  // namespace paligemma
