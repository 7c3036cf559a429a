// `search`: pages that answer a query. What rows and scores must be is for tests/colpali.
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/checkpoint_files.h"
#include "tests/support/colpali_golden.h"
#include "tests/support/error_text.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

const std::string kHf = source_dir() + "/tests/golden/colpali/hf";
const std::string kAdapter = source_dir() + "/tests/golden/colpali/adapter";
const std::string kQuery = "what is the revenue in 2024";  // the first of every case

using Words = std::vector<std::string>;

Ran search(Words more, const std::string& folder = kHf) {
  Words words{"search", folder + "/page0.png", folder + "/page1.png", "--tokenizer",
              kColpaliTokenizer};
  if (std::find(more.begin(), more.end(), "-m") == more.end())
    more.insert(more.end(), {"-m", folder});
  words.insert(words.end(), more.begin(), more.end());
  return run_program(words);
}

// Scores by the page's name, in the order of the lines.
std::vector<std::pair<std::string, double>> lines_of(const Ran& ran) {
  EXPECT_EQ(ran.exit_code, 0) << ran;
  std::vector<std::pair<std::string, double>> lines;
  std::istringstream out(ran.out);
  int rank;
  double score;
  for (std::string path; out >> rank >> score >> path;) {
    lines.emplace_back(std::filesystem::path(path).filename().string(), score);
    EXPECT_EQ(rank, std::ssize(lines));
  }
  return lines;
}

// Of the first query, as transformers scores.
std::vector<float> scores_of(const std::string& folder) {
  return NpzFile(folder + "/taps.npz").read("scores").numbers;
}

TEST(Search, NamesThePagesBestFirst) {
  const auto lines = lines_of(search({"--query", kQuery, "--reference"}));
  const auto expected = scores_of(kHf);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].first, "page1.png");
  EXPECT_NEAR(lines[0].second, expected[1], 2e-3);  // 31 maxima within 1e-4, four digits
  EXPECT_EQ(lines[1].first, "page0.png");
  EXPECT_NEAR(lines[1].second, expected[0], 2e-3);
}

TEST(Search, TakesABaseAndItsAdapter) {
  const auto lines = lines_of(search({"--query", kQuery, "--reference", "-m", kAdapter + "/base",
                                      "--adapter", kAdapter + "/adapter"},
                                     kAdapter));
  const auto expected = scores_of(kAdapter);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].first, "page1.png");
  EXPECT_NEAR(lines[0].second, expected[1], 2e-3);
  EXPECT_NEAR(lines[1].second, expected[0], 2e-3);
}

// Whoever executes; what is rounded to bf16 on the way moves a score.
TEST(Search, FindsTheSameOnEveryDevice) {
  const auto expected = lines_of(search({"--query", kQuery, "--reference"}));
  for (const Words& how : {Words{"--device", "cpu"}, Words{"--device", "cpu", "--dtype", "f32"},
                           Words{"--device", "emulated"}}) {
    Words words{"--query", kQuery};
    words.insert(words.end(), how.begin(), how.end());
    const auto lines = lines_of(search(words));
    ASSERT_EQ(lines.size(), 2u) << how[1];
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(lines[i].first, expected[i].first) << how[1];
      EXPECT_NEAR(lines[i].second, expected[i].second, 31 * kColpaliRoundings / 2) << how[1];
    }
  }
}

TEST(Search, NamesSoManyAndOfEqualsTheFirst) {
  EXPECT_EQ(lines_of(search({"--query", kQuery, "-k", "1"})).size(), 1u);
  const auto lines = lines_of(
      run_program({"search", kHf + "/page0.png", kHf + "/page1.png", kHf + "/page0.png",
                   "--tokenizer", kColpaliTokenizer, "-m", kHf, "--query", kQuery, "--best", "2"}));
  ASSERT_EQ(lines.size(), 2u);
  const json all = json::parse(search({"--query", kQuery, "--json", "-k", "9"}).out);
  EXPECT_EQ(all["results"].size(), 2u);
}

TEST(Search, AsksAsTheModelIsUsedToOrAsItIsTold) {
  const auto asked = [](Words how) {
    Words words{"--query", kQuery, "--reference"};
    words.insert(words.end(), how.begin(), how.end());
    return search(words).out;
  };
  EXPECT_EQ(asked({}), asked({"--query-format", "question"}));
  EXPECT_NE(asked({}), asked({"--query-format", "query"}));
  EXPECT_NE(asked({"--query-format", "plain"}), asked({"--query-format", "query"}));
}

// The map of the first query over the first page, [rows of the query, y, x].
TEST(Search, SaysAsJsonWhereEachTokenFoundItsLike) {
  const json said = json::parse(search({"--query", kQuery, "--json", "--reference"}).out);
  EXPECT_EQ(said["query"], kQuery);
  ASSERT_EQ(said["results"].size(), 2u);
  const json& page0 = said["results"][1];
  EXPECT_EQ(page0["rank"], 2);
  EXPECT_EQ(page0["file"], kHf + "/page0.png");
  const NpyArray map = NpzFile(kHf + "/taps.npz").read("map");
  ASSERT_EQ(map.shape, (std::vector<Index>{31, 3, 3}));
  ASSERT_EQ(page0["best"].size(), 31u);
  EXPECT_EQ(page0["best"][0]["token"], "<bos>");
  EXPECT_EQ(page0["best"][30]["token"], "\n");
  for (std::size_t t = 0; t < 31; ++t) {
    const json& best = page0["best"][t];
    const float* const cells = map.numbers.data() + t * 9;
    const std::size_t cell = best["y"].get<std::size_t>() * 3 + best["x"].get<std::size_t>();
    EXPECT_NEAR(best["score"].get<double>(), cells[cell], 1e-4) << t;
    EXPECT_GE(cells[cell], *std::max_element(cells, cells + 9) - 1e-4) << t;
  }
}

TEST(Search, DrawsWhereTheBestPageMatched) {
  const TemporaryFolder folder;
  const std::string map = (folder / "map.png").string();
  const Ran ran = search({"--query", kQuery, "--map", map, "--reference"});
  EXPECT_EQ(lines_of(ran).front().first, "page1.png");
  const RgbImage drawn = read_image(map), page = read_image(kHf + "/page1.png");
  ASSERT_EQ(drawn.view().shape(), page.view().shape());
  Index redder = 0, bluer = 0;
  for (Index i = 0; i < page.view().count(); ++i) {
    const int change = drawn.view().data()[i] - page.view().data()[i];
    redder += i % 3 == 0 && change > 0;
    bluer += i % 3 != 0 && change > 0;
  }
  EXPECT_GT(redder, page.view().count() / 6);  // half of the pixels
  EXPECT_EQ(bluer, 0);
  const Ran piped = search({"--query", kQuery, "-o", "-", "--reference"});
  EXPECT_EQ(piped.out, read_bytes(map));
  EXPECT_EQ(piped.err.substr(0, ran.out.size()), ran.out);
}

TEST(Search, RefusesInOneLine) {
  const std::string page = kHf + "/page0.png";
  EXPECT_TRUE(refuses(run_program({"search", page, "-m", kHf}), 2, {"--query"}));
  EXPECT_TRUE(refuses(run_program({"search", "-m", kHf, "--query", "table"}), 2, {"give pages"}));
  EXPECT_TRUE(
      refuses(run_program({"search", page, "-m", kHf, "--query", ""}), 2, {"--query is empty"}));
  EXPECT_TRUE(refuses(run_program({"search", page, "--query", "table", "--query-format", "Query"}),
                      2, {"Query"}));
  EXPECT_TRUE(refuses(run_program({"search", page, "--query", "table", "-k", "0"}), 2, {"--best"}));
  EXPECT_TRUE(refuses(run_program({"search", page, "--query", "table", "--max-tokens", "3"}), 2,
                      {"--max-tokens"}));
  EXPECT_TRUE(refuses(run_program({"search", page, "--query", "table", "--map", "map.txt"}), 2,
                      {"map.txt"}));
  EXPECT_TRUE(refuses(run_program({"search", page, "--query", "table"}), 4, {"no ColPali"}));
  EXPECT_TRUE(refuses(run_program({"search", kHf + "/none.png", "-m", kHf, "--tokenizer",
                                   kColpaliTokenizer, "--query", "table"}),
                      5, {"none.png"}));
  EXPECT_TRUE(refuses(run_program({"search", kHf + "/config.json", "-m", kHf, "--tokenizer",
                                   kColpaliTokenizer, "--query", "table"}),
                      5, {"config.json"}));
  EXPECT_TRUE(refuses(run_program({"search", page, "-m", kHf, "--tokenizer", kColpaliTokenizer,
                                   "--query", "an <image>"}),
                      2, {"<image>"}));
}

}  // namespace
}  // namespace paligemma
