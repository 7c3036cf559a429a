#include "world/board.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>
#include <set>

#include "tests/support/error_text.h"
#include "tests/support/source_dir.h"

namespace paligemma::world {
namespace {

constexpr char kWinning[8][10] = {"xxx......", "...xxx...", "......xxx", "x..x..x..",
                                  ".x..x..x.", "..x..x..x", "x...x...x", "..x.x.x.."};

std::string with_o(std::string text) {
  for (char& c : text) c = c == 'x' ? 'o' : c;
  return text;
}

// Black on white, in a large picture.
Board plain(std::string_view text) {
  Board board = parse_board(text);
  board.look.width = board.look.height = 448;
  board.lines.ink = board.x.ink = board.o.ink = {0, 0, 0};
  return board;
}

// Where `across` and `down` cells from the upper left corner lie, by the definition.
Point place(const Board& board, double across, double down) {
  const double turn = board.angle * std::numbers::pi / 180;
  const double x = (across - 1.5) * board.cell_width, y = (down - 1.5) * board.cell_height;
  return {board.center.x + x * std::cos(turn) - y * std::sin(turn),
          board.center.y + x * std::sin(turn) + y * std::cos(turn)};
}

// From 0, as the paper, to 1, as black ink.
double darkness(const RgbImage& picture, Point point) {
  const auto view = picture.view();
  const auto pixel = [](double v, Index size) {
    return static_cast<Index>(v / kCanvas * double(size));
  };
  return 1 - view(pixel(point.y, view.size(0)), pixel(point.x, view.size(1)), 0) / 255.0;
}

// docs/world/board.md, "By hand". Three cells of 60 about 112 reach from 22 to 202, so the first
// line down lies at 82, and a pen of 7 covers 78.5 to 85.5.
TEST(Boards, WorkedExample) {
  const Board board = parse_board("xo..x...o");
  EXPECT_EQ(box_of_cell(board, 0), (CanvasBox{22, 22, 82, 82}));
  EXPECT_EQ(box_of_cell(board, 5), (CanvasBox{82, 142, 142, 202}));
  EXPECT_EQ(cell_at(board, {150, 100}), 5);
  EXPECT_EQ(text_of(board.cells), "xo..x...o");
  EXPECT_EQ(winner_of(board.cells), '-');
  EXPECT_EQ(winner_of(parse_board("xo.ox.oox").cells), 'X');
  const RgbImage picture = render(board);
  const auto red = [&](Index x) { return int{picture.view()(50, x, 0)}; };
  EXPECT_EQ(red(77), 255);
  EXPECT_EQ(red(78), 138);  // half covered: 255 x (1 - 0.5 x 0.92) = 137.7
  EXPECT_EQ(red(79), 20);   // 255 x 0.08 = 20.4
  EXPECT_EQ(red(84), 20);
  EXPECT_EQ(red(85), 138);
  EXPECT_EQ(red(86), 255);
}

TEST(Boards, AreWonByThreeInALine) {
  for (const std::string line : kWinning) {
    EXPECT_EQ(winner_of(parse_board(line).cells), 'X') << line;
    EXPECT_EQ(winner_of(parse_board(with_o(line)).cells), 'O') << line;
  }
  EXPECT_EQ(winner_of(parse_board(".........").cells), '-');
  EXPECT_EQ(winner_of(parse_board("xoxxoxoxo").cells), '-');
  EXPECT_EQ(winner_of(parse_board("xxxooo...").cells), '-') << "both, which no game comes to";
}

TEST(Boards, SayWhatACellIs) {
  const auto problem = [](const char* text) {
    return test::error_text<std::invalid_argument>([&] { parse_board(text); });
  };
  EXPECT_TRUE(test::holds(problem("xo"), "nine cells"));
  EXPECT_TRUE(test::holds(problem("xo..x...ox"), "nine cells"));
  EXPECT_TRUE(test::holds(problem("xo..x...z"), "x, o or a dot"));
}

TEST(Boards, HaveCellsWhereTheyAreDrawn) {
  Board board;
  board.center = {100, 120};
  board.cell_width = 50;
  board.cell_height = 40;
  for (const double angle : {0.0, 5.0, -30.0}) {
    board.angle = angle;
    for (int cell = 0; cell < 9; ++cell) {
      const double column = cell % 3, row = cell / 3;
      CanvasBox box = {1e9, 1e9, 0, 0};
      for (const auto& [x, y] : {std::pair{0.01, 0.01}, {0.99, 0.01}, {0.01, 0.99}, {0.99, 0.99}}) {
        const Point p = place(board, column + x, row + y);
        EXPECT_EQ(cell_at(board, p), cell);
        box = {std::min(box[0], p.y), std::min(box[1], p.x), std::max(box[2], p.y),
               std::max(box[3], p.x)};
      }
      for (std::size_t side = 0; side < 4; ++side) {
        EXPECT_NEAR(box_of_cell(board, cell)[side], box[side], 1);  // a hundredth of a cell inside
      }
    }
    for (const auto& [x, y] : {std::pair{-0.01, 1.5}, {3.01, 1.5}, {1.5, -0.01}, {1.5, 3.01}}) {
      EXPECT_EQ(cell_at(board, place(board, x, y)), std::nullopt);
    }
  }
}

// A cross is dark at its centre and at its arms' ends, a nought at its radius across and down.
TEST(Boards, AreDrawnAsTheyAre) {
  Board board = plain("xo..x...o");
  board.center = {105, 118};
  board.cell_width = 62;
  board.cell_height = 50;
  board.radius = 0.3;
  board.x.width = board.o.width = 4;  // too thin to close what is left open
  for (const double angle : {0.0, 5.0}) {
    board.angle = angle;
    const RgbImage picture = render(board);
    for (int cell = 0; cell < 9; ++cell) {
      const auto dark = [&](double x, double y) {
        return darkness(picture, place(board, cell % 3 + 0.5 + x, cell / 3 + 0.5 + y));
      };
      const Mark mark = board.cells[cell];
      EXPECT_EQ(dark(0, 0), mark == Mark::x) << cell;
      for (const double sign : {-1, 1}) {
        EXPECT_EQ(dark(0.28 * sign, 0.28), mark == Mark::x) << cell;
        EXPECT_EQ(dark(0.28 * sign, -0.28), mark == Mark::x) << cell;
        EXPECT_EQ(dark(0.3 * sign, 0), mark == Mark::o) << cell;
        EXPECT_EQ(dark(0, 0.3 * sign), mark == Mark::o) << cell;
        EXPECT_EQ(dark(0.2 * sign, 0), 0) << cell;
        EXPECT_EQ(dark(0, 0.41 * sign), 0) << cell;
      }
      for (int turn = 0; turn < 360 && mark == Mark::o; turn += 10) {  // closed
        const double t = turn * std::numbers::pi / 180;
        EXPECT_GT(dark(0.298 * std::sin(t), 0.298 * std::cos(t)), 0.5) << turn;
      }
    }
    for (const double at : {0.1, 1.5, 2.9}) {
      for (const double line : {1, 2}) {
        EXPECT_EQ(darkness(picture, place(board, at, line)), 1);
        EXPECT_EQ(darkness(picture, place(board, line, at)), 1);
      }
      EXPECT_EQ(darkness(picture, place(board, at, 0)), 0) << "no frame";
      EXPECT_EQ(darkness(picture, place(board, 3, at)), 0) << "no frame";
    }
    EXPECT_EQ(darkness(picture, place(board, 1, 3.1)), 0) << "a line ends where the board does";
  }
}

TEST(Boards, AreFramedIfAsked) {
  Board board = plain(".........");
  board.framed = true;
  const RgbImage picture = render(board);
  for (const double line : {0, 1, 2, 3}) {
    EXPECT_EQ(darkness(picture, place(board, 0.5, line)), 1);
    EXPECT_EQ(darkness(picture, place(board, line, 2.5)), 1);
  }
}

TEST(Boards, HaveAPenForEachPlayerAndOneForTheLines) {
  Board board = plain("x.......o");
  board.lines = {{1, 0, 0}, 4};
  board.x = {{0, 1, 0}, 12};
  board.o = {{0, 0, 1}, 6};
  const RgbImage picture = render(board);
  const auto inked = [&](int channel, double width) {  // pixels of nearly one ink
    int count = 0;
    const auto view = picture.view();
    for (Index i = 0; i < view.count(); i += 3) {
      const auto* pixel = view.data() + i;
      count +=
          pixel[channel] > 200 && pixel[(channel + 1) % 3] < 128 && pixel[(channel + 2) % 3] < 128;
    }
    return count / (2 * width);  // the length of the strokes, in pixels
  };
  EXPECT_NEAR(inked(0, 4), 4 * 360, 20);  // less where two cross
  EXPECT_NEAR(inked(1, 12), 2 * 0.64 * 120 * std::numbers::sqrt2 + 11,
              20);  // round ends, one crossing
  EXPECT_NEAR(inked(2, 6), 2 * std::numbers::pi * 0.32 * 120, 5);
}

TEST(Boards, AreSquashedAsTheirPicturesAre) {
  Board board = plain("....x....");
  board.look.width = 300;
  board.look.height = 150;
  const RgbImage picture = render(board);
  EXPECT_EQ(picture.view().shape(), (std::array<Index, 3>{150, 300, 3}));
  EXPECT_EQ(darkness(picture, {112, 112}), 1);
  EXPECT_EQ(darkness(picture, place(board, 1, 0.5)), 1);
  EXPECT_EQ(darkness(picture, place(board, 0.5, 2)), 1);
}

bool same(const RgbImage& a, const RgbImage& b) {
  return std::equal(a.view().data(), a.view().data() + a.view().count(), b.view().data());
}

TEST(Boards, GoAstrayAsTheHandDoes) {
  Board board = plain("xo..x...o");
  const RgbImage ruled = render(board);
  board.hand = 1;
  EXPECT_TRUE(same(ruled, render(board))) << "a steady hand";
  board.unsteady = 0.5;
  const RgbImage drawn = render(board);
  EXPECT_FALSE(same(ruled, drawn));
  EXPECT_TRUE(same(drawn, render(board)));
  board.hand = 2;
  EXPECT_FALSE(same(drawn, render(board)));
  int differ = 0;  // the two noughts
  for (double y = 0.2; y < 0.8; y += 0.02) {
    for (double x = 0.2; x < 0.8; x += 0.02) {
      differ +=
          darkness(drawn, place(board, 1 + x, y)) != darkness(drawn, place(board, 2 + x, 2 + y));
    }
  }
  EXPECT_GT(differ, 50);
}

TEST(Boards, KeepMarksInTheirCells) {
  Board board = plain(".........");
  board.look.width = board.look.height = 112;
  board.unsteady = 1;
  board.radius = 0.37;
  for (board.hand = 0; board.hand < 20; ++board.hand) {
    board.cells = {};
    const RgbImage empty = render(board);
    board.cells[4] = board.hand % 2 == 0 ? Mark::x : Mark::o;
    const RgbImage marked = render(board);
    int inside = 0;
    for (double y = 0.01; y < 3; y += 0.02) {
      for (double x = 0.01; x < 3; x += 0.02) {
        const Point p = place(board, x, y);
        if (darkness(marked, p) == darkness(empty, p)) continue;
        inside += std::abs(x - 1.5) < 0.5 && std::abs(y - 1.5) < 0.5;
        EXPECT_LT(std::abs(x - 1.5), 0.72) << board.hand;
        EXPECT_LT(std::abs(y - 1.5), 0.72) << board.hand;
      }
    }
    EXPECT_GT(inside, 200) << board.hand;
  }
}

constexpr int kBoards = 1000;

TEST(RandomBoards, AreThoseOfGames) {
  int won = 0, full = 0, begun_by_o = 0;
  std::set<std::string> different;
  for (int i = 0; i < kBoards; ++i) {
    const Cells cells = random_board(Split::test, i).cells;
    const auto x = std::count(cells.begin(), cells.end(), Mark::x);
    const auto o = std::count(cells.begin(), cells.end(), Mark::o);
    EXPECT_LE(std::abs(x - o), 1) << text_of(cells);
    const auto last = winner_of(cells) == 'X' ? x - o : winner_of(cells) == 'O' ? o - x : 0;
    EXPECT_GE(last, 0) << text_of(cells) << ": who has won moved last";
    begun_by_o += o > x;
    won += winner_of(cells) != '-';
    full += x + o == 9;
    different.insert(text_of(cells));
  }
  EXPECT_NEAR(won, kBoards / 2, 80);  // 5 standard deviations
  EXPECT_GT(full, 50);
  EXPECT_GT(begun_by_o, 150);
  EXPECT_GT(different.size(), 600u);
}

TEST(RandomBoards, FollowFromTheirNumber) {
  EXPECT_TRUE(same(render(random_board(Split::test, 3)), render(random_board(Split::test, 3))));
  std::set<std::uint64_t> hands;
  for (const Split split : {Split::train, Split::validation, Split::test, Split::held_out}) {
    for (int i = 0; i < 100; ++i) hands.insert(random_board(split, i).hand);
  }
  EXPECT_GT(hands.size(), 398u);  // of 2^24
}

TEST(RandomBoards, LieInThePictureAnywhere) {
  Point low = {kCanvas, kCanvas}, high = {0, 0};
  for (int i = 0; i < kBoards; ++i) {
    const Board board = random_board(Split::test, i);
    for (const auto& [x, y] : {std::pair{0, 0}, {0, 3}, {3, 0}, {3, 3}}) {
      const Point p = place(board, x, y);
      EXPECT_GE(std::min(p.x, p.y), -8) << i;
      EXPECT_LE(std::max(p.x, p.y), kCanvas + 8) << i;
    }
    low = {std::min(low.x, board.center.x), std::min(low.y, board.center.y)};
    high = {std::max(high.x, board.center.x), std::max(high.y, board.center.y)};
  }
  EXPECT_LT(std::max(low.x, low.y), 80);
  EXPECT_GT(std::min(high.x, high.y), 144);
}

TEST(RandomBoards, CanBeSeen) {
  int light = 0, one_ink = 0, framed = 0, ruled = 0;
  for (int i = 0; i < kBoards; ++i) {
    const Board board = random_board(Split::test, i);
    for (const Pen& pen : {board.lines, board.x, board.o}) {
      double difference = 0;
      for (int c = 0; c < 3; ++c) difference += std::abs(pen.ink[c] - board.look.background[c]);
      EXPECT_GE(difference, 0.8);
      EXPECT_GE(pen.width, 3);
      EXPECT_LE(pen.width, 12);
    }
    EXPECT_GE(std::min(board.look.width, board.look.height), 40);
    EXPECT_LE(std::max(board.look.width, board.look.height), 200);
    const Rgb& paper = board.look.background;
    light += *std::min_element(paper.begin(), paper.end()) >= 0.85;
    one_ink += board.x.ink == board.lines.ink;
    framed += board.framed;
    ruled += board.unsteady == 0;
  }
  EXPECT_NEAR(light, 0.4 * kBoards, 80);
  EXPECT_NEAR(one_ink, 0.4 * kBoards, 80);
  EXPECT_NEAR(framed, 0.25 * kBoards, 70);
  EXPECT_NEAR(ruled, 0.25 * kBoards, 70);
}

// world/boards, which tools/zeta/draw_boards.py drew: nine cells each, and ink on some paper.
TEST(DrawnBoards, CanBeRead) {
  const std::string folder = test::source_dir() + "/world/boards/";
  std::ifstream file(folder + "boards.json");
  const auto boards = nlohmann::json::parse(file)["boards"];
  EXPECT_EQ(boards.size(), 12u);
  std::set<char> winners;
  for (const auto& board : boards) {
    winners.insert(winner_of(parse_board(board["board"].get<std::string>()).cells));
    const RgbImage picture = read_image(folder + board["picture"].get<std::string>());
    const auto view = picture.view();
    EXPECT_GE(std::min(view.size(0), view.size(1)), 150);
    const auto [darkest, lightest] = std::minmax_element(view.data(), view.data() + view.count());
    EXPECT_GT(*lightest - *darkest, 100) << board;
  }
  EXPECT_EQ(winners.size(), 3u);
}

}  // namespace
}  // namespace paligemma::world
