#include "train/examples.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tensor/errors.h"
#include "tests/support/checkpoint_files.h"
#include "tests/support/compare.h"
#include "tests/support/error_text.h"
#include "tests/support/training_golden.h"

namespace paligemma {
namespace {

using namespace test;
namespace fs = std::filesystem;

std::string line_of(const std::string& suffix, const std::string& prefix = "caption en") {
  return nlohmann::json{{"image", "0.png"}, {"prefix", prefix}, {"suffix", suffix}}.dump() + "\n";
}

// Of these pictures, with nothing asked or answered.
std::string line_about(const std::vector<std::string>& images) {
  return nlohmann::json{{"images", images}, {"prefix", ""}, {"suffix", ""}}.dump() + "\n";
}

class ExamplesOf : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"0.png", "1.png", "2.png"}) {
      fs::copy_file(fs::path(kGolden) / "training" / name, folder_ / name);
    }
  }

  Examples read(const std::string& text, bool skip_bad = false) {
    write_text(file_, text);
    return {file_, config_, tokenizer_, skip_bad};
  }
  std::vector<std::string> learned(const std::string& suffix) {
    const Example example = read(line_of(suffix)).at(0);
    std::vector<std::string> pieces;
    const std::vector<TokenId> ids(example.ids.begin() + example.prefix, example.ids.end());
    for (const TokenId id : ids) pieces.push_back(tokenizer_.piece(id));
    return pieces;
  }

  // Of a file whose third line is bad, behind a good one and an empty one: one line that names it and says all parts.
  template <class Error, class... Parts>
  void refuses(const std::string& line, const Parts&... parts) {
    const std::string text = line_of("red") + "\n" + line + "\n" + line_of("");
    const std::string said = error_text<Error>([&] { read(text); });
    EXPECT_TRUE(said.starts_with(file_.string() + ": line 3")) << said;
    EXPECT_EQ(count_lines(said), 0u) << said;
    EXPECT_TRUE(holds(said, parts...));
    const Examples others = read(text, true);
    EXPECT_EQ(others.count(), 2);
    EXPECT_EQ(others.line(others.count() - 1).suffix, "");
    EXPECT_EQ(others.skipped(), 1);
    EXPECT_EQ(others.first_problem(), said);
  }

  static constexpr std::size_t kOne = sizeof(float) * 32 * 32 * 3;  // bytes of a picture
  TemporaryFolder folder_;
  const fs::path file_ = folder_ / "lines.jsonl";
  Config config_ = read_config(kGolden);
  const Tokenizer tokenizer_{kGolden, config_.image_token,
                             static_cast<TokenId>(config_.text.vocabulary)};
};

// docs/train/examples.md, "By hand".
TEST_F(ExamplesOf, WorkedExample) {
  const Example example =
      read(R"({"image": "0.png", "prefix": "caption en", "suffix": "red"})").at(0);
  std::vector<TokenId> ids(25, 1790);
  for (const TokenId id : {2, 405, 281, 5, 376, 1}) ids.push_back(id);
  EXPECT_EQ(example.ids, ids);
  EXPECT_EQ(example.prefix, 29);
  EXPECT_EQ(example.learned(), 2);
  EXPECT_EQ(example.pixels.view().shape(), (std::array<Index, 4>{1, 32, 32, 3}));
}

TEST_F(ExamplesOf, BoxesAndMasksAreSingleTokens) {
  using Pieces = std::vector<std::string>;
  EXPECT_EQ(learned("<loc0000><loc1023><seg000><seg127> en"),
            (Pieces{"<loc0000>", "<loc1023>", "<seg000>", "<seg127>", "▁en", "<eos>"}));
  EXPECT_EQ(learned(""), Pieces{"<eos>"});
}

TEST_F(ExamplesOf, ALineMayHaveSeveralPictures) {
  Examples examples = read(line_about({"1.png", "0.png"}) + line_about({"0.png"}) +
                           R"({"images": ["1.png"], "prefix": "", "suffix": "", "image": null})");
  const Example both = examples.at(0), first = examples.at(1), second = examples.at(2);
  const auto pixels = both.pixels.view();
  ASSERT_EQ(pixels.size(0), 2);
  EXPECT_TRUE(close(pixels.row(0), second.pixels.view().row(0), kExact));
  EXPECT_TRUE(close(pixels.row(1), first.pixels.view().row(0), kExact));
  EXPECT_EQ(std::count(both.ids.begin(), both.ids.end(), config_.image_token), 50);
  EXPECT_EQ(both.ids[50], tokenizer_.bos());
}

// From the file, wherever the program runs; other fields are for others.
TEST_F(ExamplesOf, PicturesAreFoundFromTheFile) {
  fs::create_directories(folder_ / "a/b");
  fs::copy_file(folder_ / "1.png", folder_ / "a/b/c.png");
  write_text(folder_ / "a/lines.jsonl",
             line_about({"../1.png", (folder_ / "1.png").string()}) +
                 R"({"image": "b/c.png", "prefix": "", "suffix": "", "id": 7})");
  Examples examples(folder_ / "a/lines.jsonl", config_, tokenizer_, false);
  const Example both = examples.at(0), other = examples.at(1);
  for (Index i = 0; i < 2; ++i) {
    EXPECT_TRUE(close(both.pixels.view().row(i), other.pixels.view().row(0), kExact));
  }
}

// Wherever lines end, and whether the last one does.
TEST_F(ExamplesOf, LinesMayBeEmptyAndEndInTwoCharacters) {
  std::string text = "\n\r\n" + line_of("one") + "\n" + line_of("two");
  text.insert(text.size() - 1, "\r");
  std::string last = line_of("three");
  last.pop_back();
  for (const std::string end : {"", "\n", "\r\n\n"}) {
    const Examples examples = read(text + last + end);
    ASSERT_EQ(examples.count(), 3);
    EXPECT_EQ(examples.line(0).suffix + examples.line(1).suffix + examples.line(2).suffix,
              "onetwothree");
    EXPECT_EQ(examples.skipped(), 0);
    EXPECT_EQ(examples.first_problem(), "");
  }
}

TEST_F(ExamplesOf, RefusesLinesThatAreNone) {
  refuses<PromptError>("red", "not JSON");
  refuses<PromptError>(" ", "not JSON");
  refuses<PromptError>("[]", "not a JSON object");
  refuses<PromptError>(R"({"prefix": "", "suffix": ""})", "image: missing");
  refuses<PromptError>(R"({"image": "0.png", "suffix": ""})", "prefix: missing");
  refuses<PromptError>(R"({"image": "0.png", "prefix": ""})", "suffix: missing");
  refuses<PromptError>(R"({"image": 7, "prefix": "", "suffix": ""})", "image: 7 is not a text");
  refuses<PromptError>(R"({"images": "0.png", "prefix": "", "suffix": ""})", "images: missing");
  refuses<PromptError>(line_about({}), "images: 0 pictures, must be 1 to 1024");
  refuses<PromptError>(line_about(std::vector<std::string>(1025, "0.png")), "1025 pictures");
  refuses<PromptError>(R"({"images": ["0.png"], "image": "1.png", "prefix": "", "suffix": ""})",
                       "images: beside \"image\"");
}

TEST_F(ExamplesOf, RefusesPicturesThatAreNotThere) {
  for (const std::string name : {"none.png", "", "."}) {
    refuses<ImageError>(line_about({"0.png", name}), (folder_ / name).string(), "no such file");
  }
}

TEST_F(ExamplesOf, RefusesTextThatCannotBeSaid) {
  refuses<PromptError>("{\"image\": \"0.png\", \"prefix\": \"\", \"suffix\": \"\xff\"}", "UTF-8");
  refuses<PromptError>(line_of("a <image> b"), "<image> in the suffix");
  refuses<PromptError>(line_of("a", "<image> and <image>"),
                       "pictures: 1, <image> in the prompt: 2");
}

// 25 of the picture, <bos>, two words, the newline, a word and <eos>.
TEST_F(ExamplesOf, RefusesMoreTokensThanTheModelHasPositions) {
  config_.text.max_positions = 31;
  EXPECT_EQ(read(line_of("red")).at(0).ids.size(), 31u);
  refuses<PromptError>(line_of("red red"), "32 tokens", "31 positions");
}

TEST_F(ExamplesOf, RefusesLinesOfMoreThanAMebibyte) {
  const auto padded = [](std::size_t size) {
    std::string line = line_of("red");
    line.back() = ' ';
    return line + std::string(size - line.size(), ' ');
  };
  for (const char* end : {"\n", "\r\n"}) EXPECT_EQ(read(padded(1 << 20) + end).count(), 1);
  refuses<PromptError>(padded((1 << 20) + 1), "longer than 1 MiB");
}

TEST_F(ExamplesOf, PassesOverBadLinesUnlessAllAre) {
  const std::string bad = "red\n", missing = line_about({"none.png"});
  const Examples some = read(bad + line_of("one") + missing + line_of("two"), true);
  EXPECT_EQ(some.count(), 2);
  EXPECT_EQ(some.skipped(), 2);
  EXPECT_TRUE(holds(some.first_problem(), "line 1"));
  const auto all_of = [&](const std::string& text) { return [&, text] { read(text, true); }; };
  EXPECT_TRUE(holds(error_text<PromptError>(all_of(bad + missing)), "line 1", "not JSON"));
  EXPECT_TRUE(holds(error_text<ImageError>(all_of(missing + bad)), "line 1", "none.png"));
  EXPECT_TRUE(holds(error_text<PromptError>(all_of("\n\r\n")), "has no lines"));
}

TEST_F(ExamplesOf, RefusesWhatIsNoFileOrEmpty) {
  const auto open = [&](const fs::path& path) {
    return [&, path] { Examples(path, config_, tokenizer_, true); };
  };
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] { read(""); }), "the file is empty"));
  EXPECT_TRUE(holds(error_text<ModelFileError>(open(folder_.path())), "a folder"));
  EXPECT_TRUE(holds(error_text<NotFoundError>(open(folder_ / "none.jsonl")), "none.jsonl"));
}

// It is read when it is learned from.
TEST_F(ExamplesOf, APictureThatCannotBeDecodedIsFoundOutLater) {
  write_text(folder_ / "2.png", "no picture");
  Examples examples = read(line_about({"0.png"}) + line_about({"0.png", "2.png"}));
  EXPECT_TRUE(holds(error_text<ImageError>([&] { examples.at(1); }), "2.png"));
  EXPECT_EQ(examples.at(0).pixels.view().size(0), 1);
}

// Room for all pictures, for two, for one and for none.
TEST_F(ExamplesOf, APictureIsTheSameWhetherItIsKeptOrNot) {
  Examples fresh =
      read(line_about({"0.png"}) + line_about({"1.png"}) + line_about({"2.png", "0.png", "1.png"}));
  for (const std::size_t room : {3 * kOne, 2 * kOne, kOne, kOne - 1}) {
    Examples examples(file_, config_, tokenizer_, false, room);
    for (const Index i : {0, 1, 0, 2, 1, 2, 0}) {
      EXPECT_TRUE(close(examples.at(i).pixels.view(), fresh.at(i).pixels.view(), kExact)) << i;
    }
  }
}

// The third finds no room beside the first two, which are forgotten; then there is room again.
TEST_F(ExamplesOf, APictureIsKeptWhileThereIsRoom) {
  read(line_about({"0.png"}) + line_about({"1.png"}) + line_about({"2.png"}));
  Examples roomy(file_, config_, tokenizer_, false, 3 * kOne),
      narrow(file_, config_, tokenizer_, false, 2 * kOne);
  for (const Index i : {0, 1, 2}) EXPECT_NO_THROW((roomy.at(i), narrow.at(i)));
  write_text(folder_ / "0.png", "no picture");
  EXPECT_NO_THROW(roomy.at(0));
  EXPECT_THROW(narrow.at(0), ImageError);
  EXPECT_NO_THROW(narrow.at(1));
  write_text(folder_ / "2.png", "no picture");
  EXPECT_NO_THROW(narrow.at(2));
}

// Both golden checkpoints: ids, pictures and all.
TEST(ExamplesOfGolden, AreWhatTorchLearnedFrom) {
  for (const int version : {1, 2}) {
    const TrainingGolden golden(version);
    const Tokenizer tokenizer(golden.folder, golden.config.image_token,
                              static_cast<TokenId>(golden.config.text.vocabulary));
    Examples examples(golden.training / "lines.jsonl", golden.config, tokenizer, false);
    ASSERT_EQ(examples.count(), 4);
    for (Index i = 0; i < 4; ++i) {
      const Example found = examples.at(i);
      const Example& expected = golden.examples[static_cast<std::size_t>(i)];
      EXPECT_EQ(found.ids, expected.ids);
      EXPECT_EQ(found.prefix, expected.prefix);
      EXPECT_TRUE(close(found.pixels.view(), expected.pixels.view(), kExact));
    }
  }
}

std::vector<Index> places(Order& order, Index begin, Index end) {
  std::vector<Index> lines;
  for (Index place = begin; place < end; ++place) lines.push_back(order.at(place));
  return lines;
}

TEST(Order, WithoutShufflingIsThatOfTheFileAgainAndAgain) {
  Order order(3, false, 7);
  EXPECT_EQ(places(order, 0, 8), (std::vector<Index>{0, 1, 2, 0, 1, 2, 0, 1}));
  EXPECT_THROW(Order(0, false, 7), ContractError);
}

TEST(Order, EachTimeAllLinesComeOnceAndInAnotherOrder) {
  Order order(50, true, 7), in_order(50, false, 7);
  std::vector<Index> before = places(in_order, 0, 50);
  for (Index epoch = 0; epoch < 4; ++epoch) {
    const std::vector<Index> lines = places(order, 50 * epoch, 50 * epoch + 50);
    EXPECT_TRUE(std::is_permutation(lines.begin(), lines.end(), before.begin()));
    EXPECT_NE(lines, before);
    before = lines;
  }
}

TEST(Order, DependsOnTheSeedAlone) {
  Order one(50, true, 7), same(50, true, 7), low(50, true, 8), high(50, true, 7 + (1ULL << 32));
  const auto lines = places(one, 0, 50);
  EXPECT_EQ(places(same, 0, 50), lines);
  EXPECT_NE(places(low, 0, 50), lines);
  EXPECT_NE(places(high, 0, 50), lines);
}

// As a run that goes on asks.
TEST(Order, AnyPlaceMayBeAskedFirst) {
  Order forward(20, true, 3), backward(20, true, 3);
  const auto lines = places(forward, 0, 100);
  for (Index place = 99; place >= 0; place -= 7) {
    EXPECT_EQ(backward.at(place), lines[static_cast<std::size_t>(place)]);
    EXPECT_EQ(Order(20, true, 3).at(place), lines[static_cast<std::size_t>(place)]);
  }
}

// Each of the 24 orders of 4 lines in 2400 times about as often: 100, give or take four times its deviation, 9.8.
TEST(Order, AllOrdersAreAlikeOften) {
  std::map<std::vector<Index>, int> times;
  Order order(4, true, 1);
  for (Index epoch = 0; epoch < 2400; ++epoch) ++times[places(order, 4 * epoch, 4 * epoch + 4)];
  ASSERT_EQ(times.size(), 24u);
  for (const auto& [lines, count] : times) EXPECT_NEAR(count, 100, 4 * 9.8);
}

}  // namespace
}  // namespace paligemma
