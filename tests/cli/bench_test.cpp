// `bench`: times of the model, beside what the machine can do.
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

Ran bench(const std::vector<std::string>& more) {
  std::vector<std::string> words{"bench", "--rounds", "1", "-t", "1"};
  words.insert(words.end(), more.begin(), more.end());
  return run_program(words);
}

std::set<std::string> keys_of(const json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

void is_positive(const json& object, const std::string& what) {
  EXPECT_TRUE(object.is_number_float()) << what;
  EXPECT_GT(object.get<double>(), 0) << what;
}

TEST(Bench, AsJsonHasTheDocumentedKeys) {
  const Ran ran = bench({"--json"});
  ASSERT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.err, "");
  const json object = json::parse(ran.out);
  EXPECT_EQ(keys_of(object),
            (std::set<std::string>{"model", "dtype", "kernels", "threads", "rounds", "probe",
                                   "load", "encode", "prefill", "decode", "decode0"}));
  EXPECT_EQ(object["model"], "tiny");
  EXPECT_EQ(object["dtype"], "bf16");
  EXPECT_TRUE(object["kernels"].is_string());
  EXPECT_EQ(object["threads"], 1);
  EXPECT_EQ(object["rounds"], 1);

  EXPECT_EQ(keys_of(object["probe"]), (std::set<std::string>{"gflops", "read_gbs"}));
  for (const char* key : {"gflops", "read_gbs"}) is_positive(object["probe"][key], key);
  EXPECT_EQ(keys_of(object["load"]), (std::set<std::string>{"ms"}));
  is_positive(object["load"]["ms"], "load");
  for (const char* phase : {"encode", "prefill", "decode", "decode0"}) {
    EXPECT_EQ(keys_of(object[phase]), (std::set<std::string>{"ms", "floor_ms", "multiple"}));
    for (const auto& [key, value] : object[phase].items()) {
      is_positive(value, std::string(phase) + "." + key);
    }
  }
}

TEST(Bench, TimesAStepOfLearning) {
  const std::vector<std::vector<std::string>> all{{},
                                                  {"--reference"},
                                                  {"--lora", "2", "--batch", "3"},
                                                  {"--freeze", "vision", "--recompute", "blocks"}};
  for (const auto& more : all) {
    std::vector<std::string> words{"--train", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Ran ran = bench(words);
    ASSERT_EQ(ran.exit_code, 0) << ran;
    const json object = json::parse(ran.out);
    EXPECT_EQ(keys_of(object),
              (std::set<std::string>{"model", "dtype", "executor", "threads", "rounds", "batch",
                                     "learned", "step", "examples_per_second"}));
    for (const auto& [key, value] : object["step"].items()) is_positive(value, key);
    is_positive(object["examples_per_second"], "examples_per_second");
  }
  EXPECT_TRUE(refuses(bench({"--train", "--adapter", "x"}), 2, {"--lora"}));
  EXPECT_TRUE(refuses(bench({"--freeze", "x"}), 2, {"--train"}));
}

TEST(Bench, TimesAnswersSideBySideWhereTheyAreAskedFor) {
  for (const char* more : {"--dtype=auto", "--reference"}) {
    const json object = json::parse(bench({"--json", "--batch", "3", more}).out);
    const json& batch = object["batch"];
    EXPECT_EQ(keys_of(batch), (std::set<std::string>{"answers", "ms", "floor_ms", "multiple"}));
    EXPECT_EQ(batch["answers"], 3);
    for (const char* key : {"ms", "floor_ms", "multiple"}) is_positive(batch[key], key);
  }
  EXPECT_NE(bench({"--batch", "5"}).out.find("\nbatch 5 "), std::string::npos);
}

TEST(Bench, MultiplesAreTimesOverFloors) {
  const json object = json::parse(bench({"--json"}).out);
  for (const char* phase : {"encode", "prefill", "decode", "decode0"}) {
    const json& measured = object[phase];
    const double ms = measured["ms"], floor = measured["floor_ms"], multiple = measured["multiple"];
    EXPECT_NEAR(ms / floor, multiple, 1e-9 * multiple) << phase;  // of one round
  }
}

TEST(Bench, TakesQuantizedWeights) {
  for (const char* dtype : {"int8", "int4"}) {
    const Ran ran = bench({"--json", "--dtype", dtype});
    ASSERT_EQ(ran.exit_code, 0) << ran;
    const json object = json::parse(ran.out);
    EXPECT_EQ(object["dtype"], dtype);
    is_positive(object["decode"]["ms"], dtype);
  }
}

TEST(Bench, IsPrintedForPeopleToo) {
  const Ran ran = bench({});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_TRUE(ran.out.starts_with("tiny, weights bf16, kernels ")) << ran;
  for (const char* line :
       {" GFLOP/s, reads ", "floor ms", "\nencode ", "\nprefill ", "\ndecode0 "}) {
    EXPECT_NE(ran.out.find(line), std::string::npos) << line << ran;
  }
}

TEST(Bench, OfTheReferenceIsOfTheReference) {
  // Some twenty times as slow; of a few tries, other work on the machine may spoil all but one.
  bool is_slower = false;
  for (int attempt = 0; attempt < 5 && !is_slower; ++attempt) {
    const Ran ran = bench({"--json", "--reference", "--device", "cpu"});
    ASSERT_EQ(ran.exit_code, 0) << ran;
    const json fast = json::parse(bench({"--json"}).out), reference = json::parse(ran.out);
    EXPECT_EQ(reference["kernels"], "reference");
    EXPECT_NE(fast["kernels"], "reference");
    is_slower = reference["prefill"]["ms"] > 3 * fast["prefill"]["ms"].get<double>();
  }
  EXPECT_TRUE(is_slower);
  EXPECT_NE(bench({"--reference"}).out.find("kernels reference (plain loops)"), std::string::npos);
}

TEST(Bench, RefusesWhatItCannotMeasure) {
  for (const char* device : {"cuda", "cuda:1", "emulated"}) {
    EXPECT_TRUE(refuses(run_program({"bench", "--device", device}), 2, {"--device", device}));
    EXPECT_TRUE(refuses(run_emulated({"bench", "--device", device}), 2, {"--device", device}));
  }
  for (const char* rounds : {"0", "-1", "1001", "x"}) {
    EXPECT_TRUE(refuses(run_program({"bench", "--rounds", rounds}), 2, {"--rounds"})) << rounds;
  }
  EXPECT_TRUE(refuses(run_program({"bench", "-m", "/nonexistent"}), 3, {"/nonexistent"}));
}

}  // namespace
}  // namespace paligemma
