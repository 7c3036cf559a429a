// Writes boards of noughts and crosses to standard output, for training (tools/zeta/train_board.py):
//
//   board_examples --split train --first 0 | ...
//
// One record per board, without end unless --count says so:
//
//   10 bytes        the cells and the winner, such as xo..x...o-
//   36 bytes        of each 8 x 8 patch the cell that its centre lies in, '0' to '8', or '-'
//   48 x 48 x 3     the picture, resized as the program resizes
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>

#include "processing/resize.h"
#include "world/board.h"

namespace {

using namespace paligemma;
using namespace paligemma::world;

constexpr Index kSide = 48, kPatches = 6;

std::string record_of(Split split, std::uint64_t index) {
  const Board board = random_board(split, index);
  std::string record = text_of(board.cells) + winner_of(board.cells);
  for (Index i = 0; i < kPatches * kPatches; ++i) {
    const auto center = [](Index patch) { return (double(patch) + 0.5) * kCanvas / kPatches; };
    const auto cell = cell_at(board, {center(i % kPatches), center(i / kPatches)});
    record += cell ? static_cast<char>('0' + *cell) : '-';
  }
  RgbImage picture({kSide, kSide, 3});
  resize(render(board).view(), ResampleFilter::bicubic, picture.view());
  record.append(reinterpret_cast<const char*>(picture.view().data()), kSide * kSide * 3);
  return record;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Boards of noughts and crosses");
  std::string split = "train";
  std::uint64_t first = 0, count = ~std::uint64_t{0};
  app.add_option("--split", split, "train, val, test or held-out");
  app.add_option("--first", first, "number of the first board");
  app.add_option("--count", count, "how many; without it, until nobody reads");
  CLI11_PARSE(app, argc, argv);
  try {
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string record = record_of(split_named(split), first + i);
      if (std::fwrite(record.data(), 1, record.size(), stdout) != record.size()) return 1;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "board_examples: %s\n", error.what());
    return 1;
  }
  return 0;
}
