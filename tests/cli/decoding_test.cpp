// Rules for tokens, beams, several answers and stop texts on the command line.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_files.h"
#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

// The golden checkpoint, in float32, and what transformers says.
const std::string kFolder = source_dir() + "/tests/golden/paligemma1";

Ran ask(const std::string& prompt, std::vector<std::string> more) {
  more.insert(more.begin(), {"-m", kFolder, "--image", kFolder + "/picture.png", "-p", prompt});
  return run_program(more);
}
json ask_json(const std::string& prompt, std::vector<std::string> more) {
  more.push_back("--json");
  const Ran ran = ask(prompt, more);
  EXPECT_EQ(ran.exit_code, 0) << ran;
  return json::parse(ran.out);
}
std::vector<int> ids_of(const json& answer) {
  std::vector<int> ids;
  for (const json& token : answer["tokens"]) ids.push_back(token["id"]);
  return ids;
}

// The first case of decoding.json that has all of these and no further settings.
json golden(const json& wanted) {
  for (const json& given : json::parse(std::ifstream(kFolder + "/decoding.json"))) {
    json rest = given;
    for (const char* name : {"prompt", "steps", "end_tokens", "answers"}) rest.erase(name);
    if (rest == wanted && given["end_tokens"] == json{1}) return given;
  }
  ADD_FAILURE() << "no golden " << wanted;
  return {};
}
void expect_golden(const json& wanted, std::vector<std::string> flags) {
  const json given = golden(wanted);
  flags.insert(flags.end(), {"-n", std::to_string(given["steps"].get<int>())});
  const json found = ask_json(given["prompt"], flags);
  EXPECT_EQ(ids_of(found), given["answers"][0]["ids"]) << wanted;
}

TEST(Rules, AreTransformers) {
  expect_golden({{"repetition_penalty", 1.3}}, {"--repetition-penalty", "1.3"});
  expect_golden({{"repetition_penalty", 1.3}}, {"--repetition_penalty=1.3", "--reference"});
  expect_golden({{"no_repeat_ngram_size", 2}}, {"--no-repeat-ngram-size", "2"});
  expect_golden({{"repetition_penalty", 1.3}, {"no_repeat_ngram_size", 2}},
                {"--repetition-penalty", "1.3", "--no-repeat-ngram-size", "2"});
}

TEST(Rules, SuppressedTokensNeverCome) {
  const auto free = ids_of(ask_json("ocr", {"-n", "3"}));
  const std::string first = std::to_string(free[0]);
  const auto found = ids_of(ask_json("ocr", {"-n", "3", "--suppress-tokens", first + ",7"}));
  EXPECT_EQ(std::count(found.begin(), found.end(), free[0]), 0);
  for (const char* ids : {"1856", "-1", "1,", "x"}) {
    EXPECT_TRUE(refuses(ask("ocr", {"--suppress-tokens=" + std::string(ids)}), 2,
                        {"--suppress-tokens", "from 0 to 1855"}))
        << ids;
  }
}

TEST(Rules, MinPOfOneIsGreedy) {
  const auto greedy = ids_of(ask_json("ocr", {"-n", "5"}));
  EXPECT_EQ(ids_of(ask_json("ocr", {"-n", "5", "--temperature", "2", "--min-p", "1"})), greedy);
  EXPECT_NE(ids_of(ask_json("ocr", {"-n", "5", "--temperature", "2"})), greedy);
}

TEST(Rules, TopLogprobsAreTheLikeliestOfEachPlace) {
  const json found = ask_json("ocr", {"-n", "3", "--top-logprobs", "4"});
  for (const json& token : found["tokens"]) {
    const json& top = token["top"];
    ASSERT_EQ(top.size(), 4u);
    EXPECT_EQ(top[0]["id"], token["id"]);
    EXPECT_NEAR(top[0]["logprob"].get<double>(), token["logprob"].get<double>(), 2e-6);
    for (std::size_t i = 1; i < 4; ++i) EXPECT_LE(top[i]["logprob"], top[i - 1]["logprob"]);
    EXPECT_EQ(top[0]["piece"], token["piece"]);
  }
  EXPECT_FALSE(ask_json("ocr", {"-n", "1"})["tokens"][0].contains("top"));
}

TEST(PromptLookup, ChangesNoToken) {
  for (const char* prompt : {"detect red circle ; blue square ; green triangle", "caption en"}) {
    const auto say = [&](std::vector<std::string> more) {
      more.insert(more.begin(), {"--image", source_dir() + "/examples/pictures/scene.png", "-p",
                                 prompt, "--reference"});
      return run_program(more);
    };
    EXPECT_EQ(say({"--prompt-lookup", "6"}).out, say({}).out);
    EXPECT_EQ(say({"--prompt-lookup", "6", "--temperature", "1"}).out,
              say({"--temperature", "1"}).out);
  }
}

TEST(Beams, AreTransformers) {
  expect_golden({{"num_beams", 3}}, {"--num-beams", "3"});
  expect_golden({{"num_beams", 4}, {"length_penalty", -1.0}},
                {"--num_beams", "4", "--length-penalty=-1"});
  expect_golden({{"num_beams", 2}, {"early_stopping", true}},
                {"--num-beams", "2", "--early-stopping"});
  expect_golden({{"num_beams", 4}, {"early_stopping", "never"}},
                {"--num-beams", "4", "--early-stopping", "never", "--reference"});
}

TEST(Beams, AreAnswersInJson) {
  const json given = golden({{"num_beams", 4}, {"num_return_sequences", 3}});
  const json found =
      ask_json(given["prompt"], {"-n", "12", "--num-beams", "4", "--num-return-sequences", "3"});
  ASSERT_EQ(found["answers"].size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(ids_of(found["answers"][i]), given["answers"][i]["ids"]);
    EXPECT_NEAR(found["answers"][i]["score"].get<double>(), given["answers"][i]["score"], 1e-4);
    EXPECT_EQ(found["answers"][i]["finish_reason"], "length");
  }
  EXPECT_EQ(found["text"], found["answers"][0]["text"]);
  EXPECT_EQ(found["tokens"], found["answers"][0]["tokens"]);

  const Ran ran = run_program(
      {"caption", kPicture, "--num-beams", "3", "--num-return-sequences", "2", "-n", "30"});
  EXPECT_EQ(count_lines(ran.out), 2u) << ran;
}

TEST(Beams, EndAtAStopString) {
  const Ran ran = run_program({"caption", source_dir() + "/examples/pictures/scene.png",
                               "--num-beams", "3", "--stop", "d circ", "--json"});
  const json found = json::parse(ran.out);
  EXPECT_EQ(found["finish_reason"], "stop");
  EXPECT_EQ(found["text"], "a red circle");
}

// What a beam's token was chosen among, by the row that it came behind.
TEST(Beams, TellTheLikeliestTokens) {
  const json found = ask_json("ocr", {"-n", "12", "--num-beams", "4", "--num-return-sequences", "3",
                                      "--top-logprobs", "8"});
  for (const json& answer : found["answers"]) {
    for (const json& token : answer["tokens"]) {
      ASSERT_EQ(token["top"].size(), 8u);
      const auto same =
          std::ranges::find(token["top"], token["id"], [](const json& one) { return one["id"]; });
      ASSERT_NE(same, token["top"].end()) << token;
      EXPECT_NEAR((*same)["logprob"].get<double>(), token["logprob"].get<double>(), 2e-6);
    }
  }
}

TEST(Contrastive, SearchesAmongTopKTokens) {
  const std::vector<std::string> six{"-n", "6"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), six.begin(), six.end());
    return ids_of(ask_json("ocr", more));
  };
  const auto greedy = with({});
  EXPECT_EQ(with({"--penalty-alpha", "0"}), greedy);
  EXPECT_EQ(with({"--penalty_alpha", "0.6", "--top-k", "1"}), greedy);
  const auto found = with({"--penalty-alpha", "0.9", "--top-k", "4"});
  EXPECT_NE(found, greedy);
  EXPECT_EQ(with({"--penalty-alpha", "0.9", "--top-k", "4", "--reference"}), found);
  EXPECT_NE(with({"--penalty-alpha", "0.9", "--top-k", "50"}), found);
}

// As if each had been asked for with the seeds that follow.
TEST(SeveralAnswers, AreDrawnWithTheSeedsThatFollow) {
  const std::vector<std::string> how{"-n", "4", "--temperature", "2"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), how.begin(), how.end());
    return ask_json("ocr", more);
  };
  const json found = with({"--seed", "5", "--num-return-sequences", "3"});
  ASSERT_EQ(found["answers"].size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ids_of(found["answers"][i]), ids_of(with({"--seed", std::to_string(5 + i)})));
    EXPECT_TRUE(found["answers"][i]["score"].is_null());
  }
  EXPECT_NE(found["answers"][0]["text"], found["answers"][1]["text"]);
}

TEST(Stop, EndsAnAnswerWithTheTokenThatCompletesIt) {
  const auto say = [](std::vector<std::string> more) {
    more.insert(more.begin(), {"caption", source_dir() + "/examples/pictures/scene.png"});
    return run_program(more);
  };
  EXPECT_EQ(say({"--stop", "circle"}).out, "a red circle\n");
  EXPECT_EQ(say({"--stop", "nowhere", "--stop", "circle"}).out, "a red circle\n");
  EXPECT_EQ(say({"--stop", "nowhere"}).out, say({}).out);
  const json found = json::parse(say({"--stop", "d circ", "--json"}).out);
  EXPECT_EQ(found["finish_reason"], "stop");
  EXPECT_EQ(found["text"], "a red circle");
  EXPECT_EQ(say({"--stop", "circle"}).err, "");
}

// generation_config.json's settings hold, and the command line wins.
TEST(GenerationConfig, HoldsWhereNoFlagSaysOtherwise) {
  const TemporaryFolder copy;
  std::filesystem::copy(kFolder, copy.path());
  const auto ids = [&](const json& config, std::vector<std::string> more) {
    json all = config;
    all["eos_token_id"] = 1;
    write_text(copy / "generation_config.json", all.dump());
    more.insert(more.begin(),
                {"-m", copy.path(), "--image", kFolder + "/picture.png", "-p", "ocr", "--json"});
    const Ran ran = run_program(more);
    EXPECT_EQ(ran.exit_code, 0) << ran;
    return ids_of(json::parse(ran.out));
  };
  const auto with_flags = [&](std::vector<std::string> more) { return ids(json::object(), more); };
  const std::vector<std::string> eight{"-n", "8"};
  const auto greedy = with_flags(eight);
  EXPECT_EQ(ids({{"max_new_tokens", 3}}, {}).size(), 3u);
  EXPECT_EQ(ids({{"max_new_tokens", 3}}, eight), greedy);

  const json penalty{{"repetition_penalty", 1.3}};
  EXPECT_EQ(ids(penalty, eight), with_flags({"-n", "8", "--repetition-penalty", "1.3"}));
  EXPECT_EQ(ids(penalty, {"-n", "8", "--repetition-penalty", "1"}), greedy);

  const json beams{{"num_beams", 3}, {"length_penalty", 2.0}};
  EXPECT_EQ(ids(beams, eight),
            with_flags({"-n", "8", "--num-beams", "3", "--length-penalty", "2"}));
  EXPECT_EQ(ids(beams, {"-n", "8", "--temperature", "0"}), greedy);
  EXPECT_EQ(ids(beams, {"-n", "8", "--temperature", "2", "--seed", "4"}),
            with_flags({"-n", "8", "--temperature", "2", "--seed", "4"}));

  const json contrast{{"penalty_alpha", 0.9}, {"top_k", 4}};
  EXPECT_EQ(ids(contrast, eight),
            with_flags({"-n", "8", "--penalty-alpha", "0.9", "--top-k", "4"}));
  EXPECT_EQ(ids(contrast, {"-n", "8", "--penalty-alpha", "0"}), greedy);
  EXPECT_EQ(ids(contrast, {"-n", "8", "--temperature", "0"}), greedy);
  EXPECT_EQ(ids(contrast, {"-n", "8", "--num-beams", "3"}),
            with_flags({"-n", "8", "--num-beams", "3"}));
  EXPECT_EQ(ids(beams, {"-n", "8", "--penalty-alpha", "0.9", "--top-k", "4"}),
            ids(contrast, eight));

  const json draw{{"do_sample", true}, {"temperature", 2.0}, {"top_k", 7}};
  EXPECT_EQ(ids(draw, eight), with_flags({"-n", "8", "--temperature", "2", "--top-k", "7"}));
  EXPECT_EQ(ids(draw, {"-n", "8", "--do-sample=false"}), greedy);
  EXPECT_EQ(ids(draw, {"-n", "8", "--num-beams", "1"}), greedy);
}

TEST(Decoding, ThatMakesNoSenseIsRefused) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
      {{"--min-p", "1.5"}, "--min-p must be from 0 to 1"},
      {{"--repetition-penalty", "0"}, "--repetition-penalty must be more than 0"},
      {{"--no-repeat-ngram-size=-1"}, "--no-repeat-ngram-size must be 0 or more"},
      {{"--num-beams", "0"}, "--num-beams must be from 1 to 1024"},
      {{"--num-beams", "2", "--temperature", "1"}, "no draw among beams"},
      {{"--num-beams", "2", "--num-return-sequences", "3"}, "3 of 2 beams"},
      {{"--num-beams", "2", "--early-stopping=maybe"}, "must be one of"},
      {{"--penalty-alpha", "1.5"}, "--penalty-alpha must be from 0 to 1"},
      {{"--penalty-alpha", "0.6", "--temperature", "1"}, "no draw in a contrastive search"},
      {{"--penalty-alpha", "0.6", "--top-k", "0"}, "--top-k must be from 1 to 1024"},
      {{"--penalty-alpha", "0.6", "--num-return-sequences", "2"}, "has one answer"},
      {{"--penalty-alpha", "0.6", "--prompt-lookup", "2"}, "not for --penalty-alpha"},
      {{"--penalty-alpha", "0.6", "--num-beams", "2"}, "--penalty-alpha is not for --num-beams"},
      {{"--num-beams", "2", "--prompt-lookup", "3"}, "--prompt-lookup is not for --num-beams"},
      {{"--prompt-lookup", "2000"}, "--prompt-lookup must be from 0 to 1024"},
      {{"--length-penalty", "2"}, "--length-penalty is for --num-beams"},
      {{"--early-stopping"}, "--early-stopping is for --num-beams"},
      {{"--num-return-sequences", "2"}, "greedy has one answer"},
      {{"--top-logprobs", "2"}, "--top-logprobs is for --json"}};
  for (const auto& [flags, rule] : cases) EXPECT_TRUE(refuses(ask("ocr", flags), 2, {rule}));
}

}  // namespace
}  // namespace paligemma
