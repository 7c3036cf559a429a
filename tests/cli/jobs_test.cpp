// Many pictures and prompts: --jsonl, a folder.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/checkpoint_files.h"
#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

// The golden checkpoint, in float32, and three pictures.
class JobsInFolder : public ::testing::Test {
 protected:
  JobsInFolder() {
    std::filesystem::create_directory(folder_ / "in");
    std::filesystem::copy_file(kModel + "/picture.png", folder_ / "in/a.png");
    std::filesystem::copy_file(source_dir() + "/examples/pictures/scene.png", folder_ / "in/b.png");
    std::filesystem::copy_file(source_dir() + "/examples/pictures/sign.png", folder_ / "in/c.png");
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  Ran ask(std::vector<std::string> more, const Surroundings& around = {}) const {
    more.insert(more.begin(), {"-m", kModel});
    return run_program(more, around);
  }
  Ran lines(const std::string& text, std::vector<std::string> more = {}) const {
    write_text(folder_ / "in/jobs.jsonl", text);
    more.insert(more.begin(), {"--jsonl", path("in/jobs.jsonl")});
    return ask(more);
  }
  static std::vector<json> answers(const std::string& text) {
    std::vector<json> all;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) all.push_back(json::parse(line));
    return all;
  }
  // Of three pictures and prompts, one that cannot be answered among every ten.
  static std::string many(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      const std::string picture(1, "abc"[i % 3]);
      const json line = {{"id", i},
                         {"image", picture + (i % 10 == 4 ? "?" : ".png")},
                         {"prompt", i % 2 == 0 ? "ocr" : "caption en"},
                         {"max_tokens", 1 + i % 4}};
      text += line.dump() + (i % 7 == 0 ? "\r\n\n" : "\n");
    }
    return text;
  }

  const std::string kModel = source_dir() + "/tests/golden/paligemma1";
  TemporaryFolder folder_;
};

// As each alone, in the order of the lines; blank ones are counted.
TEST_F(JobsInFolder, AreAnsweredAsEachAlone) {
  const std::string text =
      R"({"id": 7, "image": "b.png", "prompt": "caption en", "max_tokens": 9})"
      "\n\n"
      R"({"id": "x", "images": ["a.png"], "prompt": "ocr", "max_tokens": 2, "label": 1})"
      "\n"
      R"({"image": "b.png", "prompt": "answer en what?", "max_tokens": 6})";
  for (const std::vector<std::string>& how :
       {std::vector<std::string>{"--reference"}, {}, {"--batch", "1"}}) {
    const Ran ran = lines(text, how);
    ASSERT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(ran.err, "");
    const auto found = answers(ran.out);
    ASSERT_EQ(found.size(), 3u);
    EXPECT_EQ(found[0]["id"], 7);
    EXPECT_EQ(found[1]["id"], "x");
    EXPECT_FALSE(found[2].contains("id"));
    const int numbers[] = {1, 3, 4};
    for (std::size_t i = 0; i < 3; ++i) {
      json answer = found[i];
      EXPECT_EQ(answer["line"], numbers[i]);
      auto alone = how;
      if (!alone.empty() && alone[0] == "--batch") alone.clear();
      alone.insert(
          alone.end(),
          {"--image", path("in/" + answer["image"]["path"].get<std::string>()), "-p",
           answer["prompt"], "--json", "-q", "-n", std::to_string(answer["tokens"].size())});
      json expected = json::parse(ask(alone).out);
      expected.erase("timings_ms");
      expected["image"]["path"] = answer["image"]["path"];
      for (const char* name : {"id", "line"}) answer.erase(name);
      for (json* one : {&answer, &expected}) {
        for (json& token : (*one)["tokens"]) {
          if (how.empty())
            token.erase("logprob");  // sums of several rows are added in another order
        }
      }
      EXPECT_EQ(answer, expected) << i;
    }
  }
}

TEST_F(JobsInFolder, TheEmulatedGpuAnswersThemToo) {
  const std::string text = R"({"image": "a.png", "prompt": "ocr", "max_tokens": 3})"
                           "\n"
                           R"({"image": "a.png", "prompt": "caption en", "max_tokens": 2})"
                           "\n";
  const Ran emulated = lines(text, {"--device", "emulated"}), plain = lines(text, {"--reference"});
  ASSERT_EQ(emulated.exit_code, 0) << emulated;
  const auto found = answers(emulated.out), expected = answers(plain.out);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(found[i]["text"], expected[i]["text"]);
}

TEST_F(JobsInFolder, ABadLineIsAnsweredAndTheRunGoesOn) {
  const std::string good = R"({"id": 1, "image": "a.png", "prompt": "ocr", "max_tokens": 1})"
                           "\n";
  const std::vector<std::pair<std::string, std::string>> bad{
      {"no", "not JSON"},
      {"[]", "not a JSON object"},
      {"\xff", "not JSON"},
      {R"({"id": 2})", "image: missing"},
      {R"({"id": 2, "image": "a.png"})", "prompt: missing"},
      {R"({"id": 2, "image": "none.png", "prompt": "ocr"})", "none.png: no such file"},
      {R"({"id": 2, "image": "jobs.jsonl", "prompt": "ocr"})", "not a picture"},
      {R"({"id": 2, "image": "https://x.org/a.png", "prompt": "ocr"})", "https://x.org/a.png"},
      {R"({"id": 2, "image": "-", "prompt": "ocr"})", "is no file"},
      {R"({"id": 2, "image": "a.png", "images": ["b.png"], "prompt": "ocr"})", "beside"},
      {R"({"id": 2, "image": "a.png", "prompt": 5})", "prompt: 5 is not a text"},
      {R"({"id": 2, "image": "a.png", "prompt": "ocr", "max_tokens": 0})", "max_tokens: 0"},
      {R"({"id": 2, "image": "a.png", "prompt": "ocr", "max_tokens": 9999})", "positions"},
      {R"({"id": {}, "image": "a.png", "prompt": "ocr"})", "id: not a text or a number"},
      {R"({"id": 2, "prompt": ")" + std::string(2 << 20, 'x') + "\"}", "longer than 1 MiB"}};
  std::string text;
  for (const auto& [line, problem] : bad) text += line + "\n" + good;
  const Ran ran = lines(text);
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(ran.err, "paligemma: 15 of 30 failed\n");
  const auto found = answers(ran.out);
  ASSERT_EQ(found.size(), 2 * bad.size());
  for (std::size_t i = 0; i < bad.size(); ++i) {
    const json& answer = found[2 * i];
    const std::string error = answer["error"];
    EXPECT_NE(error.find(bad[i].second), std::string::npos) << error;
    EXPECT_EQ(answer["line"], 2 * i + 1);
    EXPECT_EQ(answer.contains("id"), bad[i].first.starts_with(R"({"id": 2)") && i != 14) << i;
    EXPECT_EQ(found[2 * i + 1]["id"], 1);
    EXPECT_FALSE(found[2 * i + 1].contains("error"));
  }
}

TEST_F(JobsInFolder, MayLookAtSeveralPictures) {
  const Ran ran = lines(R"({"images": ["a.png", "b.png"], "prompt": "ocr", "max_tokens": 3})");
  ASSERT_EQ(ran.exit_code, 0) << ran;
  json found = json::parse(ran.out);
  json alone = json::parse(ask({"--image", path("in/a.png"), "--image", path("in/b.png"), "-p",
                                "ocr", "-n", "3", "--json", "-q"})
                               .out);
  EXPECT_EQ(found["images"].size(), 2u);
  EXPECT_EQ(found["tokens"], alone["tokens"]);
  for (const char* images : {"[]", "[\"a.png\", \"none.png\"]", "[5]"}) {
    const std::string line = "{\"images\": " + std::string(images) + ", \"prompt\": \"ocr\"}";
    EXPECT_TRUE(json::parse(lines(line).out).contains("error")) << images;
  }
}

TEST_F(JobsInFolder, StandardInputHasLinesToo) {
  const std::string line = json{{"image", path("in/a.png")}, {"prompt", "ocr"}}.dump();
  const Ran ran = ask({"--jsonl", "-", "-n", "2"}, {.input = "\xef\xbb\xbf" + line + "\n" + line});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(answers(ran.out).size(), 2u);
  EXPECT_EQ(ask({"--jsonl", "-"}).out, "") << "no line, no answer";
}

TEST_F(JobsInFolder, ShardsTogetherAreTheWhole) {
  const std::string text = many(20);
  const auto whole = answers(lines(text, {"--reference"}).out);
  std::vector<json> together;
  for (const char* shard : {"0/3", "1/3", "2/3"}) {
    for (const json& answer : answers(lines(text, {"--reference", "--shard", shard}).out)) {
      EXPECT_EQ((answer["line"].get<int>() - 1) % 3, shard[0] - '0');
      together.push_back(answer);
    }
  }
  std::sort(together.begin(), together.end(),
            [](const json& a, const json& b) { return a["line"] < b["line"]; });
  EXPECT_EQ(together, whole);
  for (const char* shard :
       {"3/3", "-1/3", "1", "1/0", "a/b", "1/2/3", "0/3 ", "9/99999999999999999999"}) {
    EXPECT_TRUE(refuses(lines(text, {"--shard", shard}), 2, {"--shard", "I/N"})) << shard;
  }
}

// Whatever is cut off behind, the rest is the same, byte for byte.
TEST_F(JobsInFolder, ARunGoesOnWhereAnotherWasCutShort) {
  const std::string text = many(30);
  const Ran whole = lines(text, {"--reference", "--out", path("whole")});
  EXPECT_EQ(whole.exit_code, 1);
  EXPECT_EQ(whole.out, "");
  EXPECT_EQ(whole.err, "paligemma: 3 of 30 failed\n");
  const std::string expected = read_bytes(folder_ / "whole");
  ASSERT_EQ(count_lines(expected), 30u);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, expected.size() / 3, expected.find('\n'),
        expected.find('\n') + 1, expected.size() - 1, expected.size()}) {
    write_text(folder_ / "cut", expected.substr(0, size));
    const Ran ran = lines(text, {"--reference", "--out", path("cut")});
    EXPECT_EQ(ran.exit_code, 1) << size;
    EXPECT_NE(ran.err.find("3 of 30 failed"), std::string::npos) << ran;
    EXPECT_EQ(read_bytes(folder_ / "cut"), expected) << size;
  }
}

TEST_F(JobsInFolder, AKilledRunGoesOn) {
  const std::string text = many(60);
  lines(text, {"--reference", "--out", path("whole")});
  const std::string expected = read_bytes(folder_ / "whole");
  for (const int delay : {20, 60, 100}) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::setenv("OMP_NUM_THREADS", "1", 1);
      const std::string input = path("in/jobs.jsonl"), out = path("killed");
      ::execl(program().c_str(), "paligemma", "-q", "-m", kModel.c_str(), "--jsonl", input.c_str(),
              "--reference", "--out", out.c_str(), nullptr);
      ::_exit(127);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  EXPECT_EQ(lines(text, {"--reference", "--out", path("killed")}).exit_code, 1);
  EXPECT_EQ(read_bytes(folder_ / "killed"), expected);
}

TEST_F(JobsInFolder, WhatIsNoFileOfAnswersIsLeftAsItIs) {
  const std::string text = many(3);
  for (const char* other : {"my diary\n", "my diary", "{}\n", "{\"line\": \"x\"}\n", "[1]\n"}) {
    write_text(folder_ / "other", other);
    EXPECT_TRUE(refuses(lines(text, {"--out", path("other")}), 2, {"is no answer"})) << other;
    EXPECT_EQ(read_bytes(folder_ / "other"), other);
  }
  write_text(folder_ / "other", "{\"id\": 5, \"line\": 1}\n");
  EXPECT_TRUE(refuses(lines(text, {"--out", path("other")}), 2, {"other lines", "5", "0"}));
  write_text(folder_ / "other", "{\"line\": 99}\n");
  EXPECT_TRUE(refuses(lines(text, {"--out", path("other")}), 2, {"line 99"}));
  EXPECT_TRUE(refuses(lines(text, {"--out", path("in")}), 1, {"--out"}));
  EXPECT_TRUE(refuses(lines(text, {"--out", "/dev/full"}), 1, {"not a regular file"}));
}

TEST_F(JobsInFolder, AFolderIsAnsweredInTheOrderOfItsNames) {
  std::filesystem::create_directory(folder_ / "in/d");
  std::filesystem::rename(folder_ / "in/c.png", folder_ / "in/B\tB");
  write_text(folder_ / "in/e.txt", "no picture");
  const Ran ran = ask({"caption", path("in"), "-n", "2", "--reference"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(ran.err, "paligemma: " + path("in/e.txt") +
                         ": not a picture of a known format\npaligemma: 1 of 4 failed\n");
  const auto alone = [&](const std::string& name) {
    return ask({"caption", path("in/" + name), "-n", "2", "--reference"}).out;
  };
  EXPECT_EQ(ran.out, "B\\tB\t" + alone("B\tB") + "a.png\t" + alone("a.png") + "b.png\t" +
                         alone("b.png") + "e.txt\t\n");

  const auto found = answers(ask({"caption", path("in"), "-n", "2", "--reference", "--json"}).out);
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[0]["image"]["path"], "B\tB");
  EXPECT_EQ(found[3]["image"]["path"], "e.txt");
  EXPECT_TRUE(found[3].contains("error"));
}

TEST_F(JobsInFolder, WhatMakesNoSenseIsRefused) {
  const std::string text = many(1);
  EXPECT_TRUE(refuses(lines(text, {"-p", "ocr"}), 2, {"--jsonl"}));
  EXPECT_TRUE(refuses(lines(text, {"--image", "a.png"}), 2, {"--jsonl"}));
  for (const char* flag : {"--output=x.png", "--dump=x", "--trace=x", "--perf"}) {
    const std::string name = std::string(flag).substr(0, std::string(flag).find('='));
    EXPECT_TRUE(refuses(lines(text, {flag}), 2, {name, "many pictures"})) << flag;
    EXPECT_TRUE(refuses(ask({"caption", path("in"), flag}), 2, {name, "many pictures"})) << flag;
  }
  EXPECT_TRUE(refuses(ask({"--jsonl", path("none")}), 2, {"--jsonl", "No such file"}));
  EXPECT_TRUE(refuses(ask({"--jsonl", path("in")}), 2, {"--jsonl", "Is a directory"}));
  EXPECT_TRUE(refuses(ask({"--image", path("in")}), 2, {"-p"}));
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_TRUE(refuses(ask({"caption", path("empty")}), 2, {"no picture"}));
  EXPECT_TRUE(refuses(ask({"caption", path("in/a.png"), "--out", "x"}), 2, {"--out"}));
  EXPECT_TRUE(refuses(ask({"--image", path("in/a.png"), "-p", "ocr", "--shard", "0/1"}), 2,
                      {"--shard is for --jsonl"}));
  EXPECT_TRUE(refuses(lines(text, {"--batch", "0"}), 2, {"--batch"}));
}

}  // namespace
}  // namespace paligemma
