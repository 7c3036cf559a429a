// `embed` of a ColPali: pages and queries as rows. What the rows must be is for tests/colpali.
#include <nlohmann/json.hpp>
#include <sstream>

#include "tensor/mapped_file.h"
#include "tests/support/checkpoint_files.h"
#include "tests/support/colpali_golden.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

const std::string kHf = source_dir() + "/tests/golden/colpali/hf";
const std::string kQuery = "what is the revenue in 2024";

using Words = std::vector<std::string>;

Ran embed(const Words& more) {
  Words words{"embed", "-m", kHf, "--tokenizer", kColpaliTokenizer, "--reference"};
  words.insert(words.end(), more.begin(), more.end());
  return run_program(words);
}

void expect_golden(const std::vector<float>& numbers, const std::string& tap) {
  EXPECT_LT(ColpaliCase("hf").error(tap, numbers), kColpaliSums) << tap;
}

std::vector<float> flat(const json& rows) {
  std::vector<float> numbers;
  for (const json& row : rows) {
    for (const json& number : row) numbers.push_back(number.get<float>());
  }
  return numbers;
}

TEST(EmbedRows, PrintsAnObjectForEachPage) {
  const Ran ran = embed({kHf + "/page0.png", kHf + "/page1.png"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  std::istringstream out(ran.out);
  std::string line;
  for (const std::string page : {"page0", "page1"}) {
    ASSERT_TRUE(std::getline(out, line));
    const json said = json::parse(line);
    EXPECT_EQ(said["file"], kHf + "/" + page + ".png");
    ASSERT_EQ(said["vectors"].size(), 17u);
    EXPECT_EQ(said["vectors"][0].size(), 16u);
    expect_golden(flat(said["vectors"]), page + "/embeddings");
  }
  EXPECT_FALSE(std::getline(out, line));
}

TEST(EmbedRows, PrintsAQuery) {
  const json said = json::parse(embed({"--query", kQuery}).out);
  EXPECT_EQ(said["query"], kQuery);
  expect_golden(flat(said["vectors"]), "query0/embeddings");
  EXPECT_NE(embed({"--query", kQuery, "--query-format", "plain"}).out,
            embed({"--query", kQuery}).out);
}

TEST(EmbedRows, WritesNumPysFile) {
  const TemporaryFolder folder;
  for (const auto& [what, tap] : {std::pair{Words{kHf + "/page1.png"}, "page1/embeddings"},
                                  std::pair{Words{"--query", kQuery}, "query0/embeddings"}}) {
    Words words = what;
    words.insert(words.end(), {"-o", (folder / "rows.npy").string()});
    const Ran ran = embed(words);
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(ran.out, "");
    const NpyArray array = parse_npy(MappedFile(folder / "rows.npy").bytes(), "rows.npy");
    ASSERT_EQ(array.shape.size(), 2u);
    EXPECT_EQ(array.shape[1], 16);
    expect_golden(array.numbers, tap);
  }
}

TEST(EmbedRows, RefusesInOneLine) {
  const std::string page = kHf + "/page0.png";
  EXPECT_TRUE(refuses(run_program({"embed", page, "-m", kHf, "--pool", "mean"}), 2, {"--pool"}));
  EXPECT_TRUE(refuses(run_program({"embed", page, "-m", kHf, "--cosine"}), 2, {"--cosine"}));
  EXPECT_TRUE(refuses(run_program({"embed", page, "-m", kHf, "--query", "table"}), 2,
                      {"both pages and --query"}));
  EXPECT_TRUE(refuses(run_program({"embed", "-m", kHf}), 2, {"give a page"}));
  EXPECT_TRUE(refuses(run_program({"embed", page, page, "-m", kHf, "-o", "rows.npy"}), 2, {"-o"}));
  EXPECT_TRUE(refuses(run_program({"embed", page, "-m", kHf, "-o", "rows.txt"}), 2, {".npy"}));
  EXPECT_TRUE(refuses(run_program({"embed", "--query", "table"}), 4, {"no ColPali"}));
  EXPECT_TRUE(
      refuses(run_program({"embed", page, "--query-format", "plain"}), 2, {"--query-format"}));
  EXPECT_TRUE(
      refuses(run_program({"embed", page, "--tokenizer", kColpaliTokenizer}), 2, {"--tokenizer"}));
}

}  // namespace
}  // namespace paligemma
