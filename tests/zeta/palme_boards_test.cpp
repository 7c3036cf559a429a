// models/palme reads boards as docs/palme_board.md says.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "processing/normalize_pixels.h"
#include "processing/resize.h"
#include "tests/support/source_dir.h"
#include "world/board.h"
#include "zeta/pipeline.h"

namespace paligemma {
namespace {

using namespace world;

constexpr Index kSide = 48, kPatches = 6, kCells = 9;
const std::filesystem::path kModel = test::source_dir() + "/models/palme";

class PalmeBoards : public ::testing::Test {
 protected:
  void look_at(const Board& board) {
    RgbImage squashed({kSide, kSide, 3}, unwritten);
    resize(render(board).view(), ResampleFilter::bicubic, squashed.view());
    Buffer<float, 3> pixels({kSide, kSide, 3}, unwritten);
    normalize_pixels(squashed.view(), {.mean = {0, 0, 0}, .std = {1, 1, 1}}, pixels.view());
    pipeline_->look_at(pixels.view(), {});
  }

  std::string read() {
    const zeta::Config& config = pipeline_->config();
    std::string text;
    pipeline_->generate(config.start_tokens,
                        {.max_tokens = kCells + 2, .end_tokens = {*config.eos_token}},
                        [&](const GeneratedToken& token) {
                          if (token.id != *config.eos_token) {
                            text += config.vocabulary[static_cast<std::size_t>(token.id)];
                          }
                          return true;
                        },
                        {});
    return text;
  }

  std::unique_ptr<zeta::Pipeline> pipeline_ = zeta::open_pipeline(reference, {.model = kModel});
};

// A line of words.txt: the words, and by how much the likeliest was ahead at the least certain place. Floats
// differ by less than a hundredth.
TEST_F(PalmeBoards, AreReadAsTorchReadsThem) {
  std::ifstream file(kModel / "words.txt");
  std::string words;
  double ahead = 0;
  int right = 0;
  std::uint64_t i = 0;
  for (; file >> words >> ahead; ++i) {
    const Board board = random_board(Split::test, i);
    look_at(board);
    if (ahead > 0.01) {
      EXPECT_EQ(read(), words) << i;
    }
    right += words == text_of(board.cells) + winner_of(board.cells);
  }
  EXPECT_EQ(i, 64u);
  EXPECT_GE(right, 62);
}

// The brightest patch, in the mean over heads, as each cell is said.
TEST_F(PalmeBoards, LightTheCellThatIsSaid) {
  int lit = 0;
  constexpr int kBoards = 32;
  for (std::uint64_t i = 0; i < kBoards; ++i) {
    const Board board = random_board(Split::test, i);
    look_at(board);
    std::vector<TokenId> ids = pipeline_->config().start_tokens;
    for (const Mark mark : board.cells) ids.push_back(static_cast<TokenId>(mark));
    std::vector<float> maps;  // of the last cross-attention, [T, N, 36]
    pipeline_->logits(ids, [&](const std::string& name, std::span<const float> numbers, auto) {
      if (name == "llm/block04/attention") maps.assign(numbers.begin(), numbers.end());
    });
    constexpr Index kHeads = 2, kRows = kPatches * kPatches;
    ASSERT_EQ(static_cast<Index>(maps.size()), (kCells + 1) * kHeads * kRows);
    for (Index k = 0; k < kCells; ++k) {
      std::vector<float> map(kRows);
      for (Index p = 0; p < kHeads * kRows; ++p) {
        map[static_cast<std::size_t>(p % kRows)] +=
            maps[static_cast<std::size_t>(k * kHeads * kRows + p)];
      }
      const auto patch = std::max_element(map.begin(), map.end()) - map.begin();
      const auto center = [](Index at) {
        return (static_cast<double>(at) + 0.5) * kCanvas / kPatches;
      };
      lit += cell_at(board, {center(patch % kPatches), center(patch / kPatches)}) == k;
    }
  }
  EXPECT_GE(lit, kBoards * kCells * 97 / 100);
}

}  // namespace
}  // namespace paligemma
