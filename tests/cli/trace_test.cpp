// --trace: what took how long, as Perfetto reads it.
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

constexpr int kModel = 1, kTokens = 2;  // the lanes

// In whole nanoseconds, so that ends meet starts.
struct Event {
  std::string name, category;
  std::int64_t start, end;
  json args;
};
using Events = std::vector<Event>;

Events lane_of(const json& trace, int lane) {
  Events events;
  const auto nanoseconds = [](double microseconds) { return std::llround(microseconds * 1e3); };
  for (const json& event : trace.at("traceEvents")) {
    EXPECT_EQ(event.at("pid"), 1) << event;
    if (event.at("ph") == "M" || event.at("tid") != lane) continue;
    EXPECT_EQ(event.at("ph"), "X") << event;
    const auto start = nanoseconds(event.at("ts")), took = nanoseconds(event.at("dur"));
    EXPECT_GE(start, 0) << event;
    EXPECT_GE(took, 0) << event;
    events.push_back({event.at("name"), event.at("cat"), start, start + took, event.at("args")});
  }
  return events;
}

std::vector<std::string> names_of(const Events& events) {
  std::vector<std::string> names;
  for (const Event& event : events) names.push_back(event.name);
  return names;
}

Events named(const Events& events, const std::string& name) {
  Events found;
  for (const Event& event : events) {
    if (event.name == name) found.push_back(event);
  }
  return found;
}

bool is_within(const Event& inner, const Event& outer) {
  return outer.start <= inner.start && inner.end <= outer.end;
}

// docs/taps.md for the default model, in the order of its computation.
std::vector<std::string> picture_taps() {
  std::vector<std::string> names{"img/pixels", "img/stem", "img/with_posemb"};
  for (const char* block : {"00", "01", "02", "03"}) {
    for (const char* part : {"sa", "+sa", "mlp", "+mlp"}) {
      names.push_back(std::string("img/encoder/block") + block + "/" + part);
    }
  }
  names.insert(names.end(), {"img/encoded", "img/head"});
  return names;
}
std::vector<std::string> prefix_taps() {
  std::vector<std::string> names{"llm/embedded"};
  for (const char* block : {"00", "01", "02", "03"}) {
    for (const char* part : {"attn", "+attn", "mlp", "+mlp"}) {
      names.push_back(std::string("llm/block") + block + "/" + part);
    }
  }
  names.insert(names.end(), {"llm/final_norm", "logits"});
  return names;
}

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class Traced : public ::testing::Test {
 protected:
  Ran run(const std::vector<std::string>& more, const std::string& input = "") const {
    return run_program(words() + more, {.input = input});
  }
  std::vector<std::string> words() const {
    return {"--image", picture_, "--trace", folder_ / "trace.json"};
  }
  json trace() const { return json::parse(read_bytes(folder_ / "trace.json")); }

  const std::string picture_ = source_dir() + "/examples/pictures/scene.png";
  const std::vector<std::string> question_{"-p", "answer en what color is the square?"};
  TemporaryFolder folder_;
};

TEST_F(Traced, AnswersAreTheSame) {
  const Ran ran = run(question_);
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out, "blue\n");
  EXPECT_EQ(ran.err, "");
}

// Every tap of the picture and of the prefix once, and the logits of every further token.
TEST_F(Traced, TapsAreAllThereAndInOrder) {
  run(question_);
  EXPECT_EQ(names_of(lane_of(trace(), kModel)),
            (std::vector<std::string>({"load", "read", "preprocess"}) + picture_taps() +
             std::vector<std::string>{"prompt"} + prefix_taps() +
             std::vector<std::string>{"choose", "logits", "logits", "logits"}));
}

TEST_F(Traced, TapsHaveTheirCategoryAndShape) {
  run(question_);
  std::set<std::string> categories;
  for (const Event& event : lane_of(trace(), kModel)) {
    categories.insert(event.category);
    if (event.category == "host") continue;
    EXPECT_EQ(event.category, event.name.substr(0, event.name.find('/')));
    const json shape = event.args.at("shape");
    if (event.name == "img/pixels") {
      EXPECT_EQ(shape, (json{112, 112, 3}));
    }
    if (event.name == "img/encoder/block03/mlp") {
      EXPECT_EQ(shape, (json{64, 128}));
    }
    if (event.name == "llm/final_norm") {
      EXPECT_EQ(shape, (json{64 + 1 + 8 + 1, 128}));
    }
    if (event.name == "logits") {
      EXPECT_EQ(shape, (json{1, 1856}));
    }
  }
  EXPECT_EQ(categories, (std::set<std::string>{"host", "img", "llm", "logits"}));
}

TEST_F(Traced, EventsOfALaneFollowOneAnother) {
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, {"--dump", folder_ / "taps"}, {"-n", "1"}, {"--reference"}}) {
    run(question_ + more);
    for (int lane : {kModel, kTokens}) {
      const Events events = lane_of(trace(), lane);
      for (std::size_t i = 1; i < events.size(); ++i) {
        EXPECT_LE(events[i - 1].end, events[i].start) << events[i].name;
      }
    }
  }
}

// Nothing is lost between the first tap of a picture and the last: each begins where the one before ends, but
// for what the listeners themselves take.
TEST_F(Traced, PicturesAndAnswersHaveNoGaps) {
  run(question_);
  std::int64_t all = 0, lost = 0;
  const Events events = lane_of(trace(), kModel);
  for (std::size_t i = 1; i < events.size(); ++i) {
    if (events[i].category == "host") continue;
    all += events[i].end - events[i].start;
    lost += events[i].start - events[i - 1].end;
  }
  EXPECT_LT(lost, all / 2);  // some 0.2 % if nothing else runs
}

TEST_F(Traced, TokensAreThoseOfTheAnswerAndTakeAsLong) {
  const Ran ran = run(question_ + std::vector<std::string>{"--json"});
  const json answer = json::parse(ran.out);
  const Events tokens = lane_of(trace(), kTokens);
  ASSERT_EQ(tokens.size(), answer["tokens"].size());
  ASSERT_EQ(names_of(tokens),
            (std::vector<std::string>{"token 0 (prefill)", "token 1", "token 2", "token 3"}));
  for (std::size_t k = 0; k < tokens.size(); ++k) {
    EXPECT_EQ(tokens[k].category, "token");
    EXPECT_EQ(tokens[k].args.at("id"), answer["tokens"][k]["id"]);
    EXPECT_EQ(tokens[k].args.at("text"), answer["tokens"][k]["piece"]);
    const double ms = answer["timings_ms"]["per_token"][k];
    EXPECT_EQ(tokens[k].end - tokens[k].start, std::llround(ms * 1e6));
  }
}

TEST_F(Traced, TokensSpanTheirTaps) {
  run({"-p", "caption en"});
  const Events model = lane_of(trace(), kModel), tokens = lane_of(trace(), kTokens),
               logits = named(model, "logits");
  ASSERT_GT(tokens.size(), 3u);
  ASSERT_EQ(logits.size(), tokens.size());
  for (std::size_t k = 0; k < tokens.size(); ++k) {
    EXPECT_TRUE(is_within(logits[k], tokens[k])) << k;
    if (k > 0) {
      EXPECT_GE(tokens[k].start, tokens[k - 1].end);
    }
  }
  for (const Event& event : model) {
    if (event.category == "llm") {
      EXPECT_TRUE(is_within(event, tokens[0])) << event.name;
    }
    if (event.category == "img") {
      EXPECT_LE(event.end, tokens[0].start) << event.name;
    }
  }
}

TEST_F(Traced, PhasesAreThoseOfTheJson) {
  const Ran ran = run(question_ + std::vector<std::string>{"--json"});
  const json times = json::parse(ran.out)["timings_ms"];
  const Events model = lane_of(trace(), kModel);
  const Event preprocess = named(model, "preprocess").at(0);
  EXPECT_EQ(preprocess.end - preprocess.start,
            std::llround(times["preprocess"].get<double>() * 1e6));
  const Event load = named(model, "load").at(0);
  EXPECT_GE(load.end - load.start, std::llround(times["load"].get<double>() * 1e6));
  EXPECT_EQ(named(model, "read").at(0).args.at("image"), picture_);
  EXPECT_EQ(named(model, "prompt").at(0).args.at("prompt"), question_[1]);
}

TEST_F(Traced, RunsSayWhatRanWhere) {
  run(question_ + std::vector<std::string>{"-t", "1", "--dtype", "f32", "--reference"});
  const json traced = trace();
  EXPECT_EQ(traced["displayTimeUnit"], "ms");
  const json about = traced["otherData"];
  EXPECT_EQ(about.size(), 6u);
  EXPECT_TRUE(about["version"].is_string());
  EXPECT_EQ(about["model"], "tiny");
  EXPECT_EQ(about["device"], "cpu");
  EXPECT_EQ(about["executor"], "reference");
  EXPECT_EQ(about["dtype"], "f32");
  EXPECT_EQ(about["threads"], 1);

  std::map<std::string, json> given;  // names, by what they name
  for (const json& event : traced["traceEvents"]) {
    if (event["ph"] != "M") continue;
    given[event["name"].get<std::string>() + " " + event["tid"].dump()] = event["args"]["name"];
  }
  EXPECT_EQ(given, (std::map<std::string, json>{{"process_name 1", "paligemma"},
                                                {"thread_name 1", "model"},
                                                {"thread_name 2", "tokens"}}));
}

TEST_F(Traced, PromptsLineByLineAreOneTrace) {
  const Ran ran = run({}, "ocr\n\xff\n/image none.png\n/image " + picture_ + "\ncaption en\n");
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(count_lines(ran.err), 2u) << ran;  // what was refused leaves no trace
  const Events model = lane_of(trace(), kModel);
  EXPECT_EQ(named(model, "load").size(), 1u);
  for (const char* name : {"read", "preprocess", "img/head", "prompt", "llm/embedded"}) {
    EXPECT_EQ(named(model, name).size(), 2u) << name;
  }
  EXPECT_EQ(named(lane_of(trace(), kTokens), "token 0 (prefill)").size(), 2u);
  EXPECT_EQ(named(model, "prompt")[1].args.at("prompt"), "caption en");
}

TEST_F(Traced, NamesThatAreNotUtf8AreShown) {
  const auto strange = (folder_ / "\xff.png").string();
  std::filesystem::copy_file(picture_, strange);
  const Ran ran = run_program({"--image", strange, "-p", "ocr", "--trace", folder_ / "trace.json"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_TRUE(named(lane_of(trace(), kModel), "read")
                  .at(0)
                  .args.at("image")
                  .get<std::string>()
                  .ends_with("\xef\xbf\xbd.png"));
}

TEST_F(Traced, EmulatedKernelsHaveTapsToo) {
  run(question_);
  const auto expected = names_of(lane_of(trace(), kModel));
  const Ran ran =
      run_program(words() + question_ + std::vector<std::string>{"--device", "emulated"});
  ASSERT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(names_of(lane_of(trace(), kModel)), expected);
  EXPECT_EQ(trace()["otherData"]["executor"], "cuda");
}

TEST_F(Traced, WithoutAPlaceToGoAreRefusedBeforeTheModelRuns) {
  for (const std::string& place : {std::string("/nonexistent/t.json"), folder_.path().string()}) {
    const Ran ran = run_program({"--image", picture_, "-p", "ocr", "--trace", place});
    EXPECT_TRUE(refuses(ran, 1, {place, "cannot be written"}));
  }
}

TEST_F(Traced, OnAFullDiskAreAnError) {
  const Ran ran = run_program({"--image", picture_, "-p", "ocr", "--trace", "/dev/full"});
  EXPECT_EQ(ran.exit_code, 1) << ran;
  EXPECT_EQ(ran.err, "paligemma: /dev/full: cannot be written\n");
}

}  // namespace
}  // namespace paligemma
