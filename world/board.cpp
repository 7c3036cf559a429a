#include "world/board.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "world/paint.h"
#include "world/random.h"

namespace paligemma::world {
namespace {

constexpr std::string_view kMarks = ".xo";
constexpr int kLines[8][3] = {{0, 1, 2}, {3, 4, 5}, {6, 7, 8}, {0, 3, 6},
                              {1, 4, 7}, {2, 5, 8}, {0, 4, 8}, {2, 4, 6}};

// ---- a game

bool has_line(const Cells& cells, Mark mark) {
  return std::any_of(std::begin(kLines), std::end(kLines), [&](const int(&line)[3]) {
    return std::all_of(line, line + 3, [&](int i) { return cells[i] == mark; });
  });
}

// Moves by chance, at most so many, until somebody has won.
Cells play(int moves, Random& random) {
  Cells cells = {};
  Mark turn = random.chance(0.5) ? Mark::x : Mark::o;
  for (int i = 0; i < moves && winner_of(cells) == '-';) {
    Mark& cell = cells[random.below(9)];
    if (cell != Mark::none) continue;
    cell = turn;
    turn = turn == Mark::x ? Mark::o : Mark::x;
    ++i;
  }
  return cells;
}

Cells random_cells(Random& random) {
  const bool won = random.chance(0.5);
  for (;;) {
    const Cells cells = play(won ? 9 : random.below(10), random);
    if ((winner_of(cells) != '-') == won) return cells;
  }
}

// ---- how it is drawn

Rgb random_rgb(Random& random, double low = 0) {
  return {random.between(low, 1), random.between(low, 1), random.between(low, 1)};
}

Rgb ink_on(const Rgb& paper, Random& random) {
  constexpr double kContrast = 0.8;  // of three channels together
  for (;;) {
    const Rgb ink = random_rgb(random);
    double difference = 0;
    for (int c = 0; c < 3; ++c) difference += std::abs(ink[c] - paper[c]);
    if (difference >= kContrast) return ink;
  }
}

Look random_look(Random& random) {
  Look look;
  const double side = std::exp2(random.between(5.6, 7.4));  // 49 to 169 pixels
  const double proportion = random.chance(0.3) ? std::exp2(random.between(-0.2, 0.2)) : 1;
  look.width = static_cast<int>(std::lround(side * proportion));
  look.height = static_cast<int>(std::lround(side / proportion));
  look.background = random_rgb(random, random.chance(0.4) ? 0.85 : 0);
  look.background_end = look.background;
  if (random.chance(0.2)) {
    for (double& channel : look.background_end) {
      channel = std::clamp(channel + random.between(-0.15, 0.15), 0.0, 1.0);
    }
  }
  if (random.chance(0.3)) look.gamma = std::exp2(random.between(-0.3, 0.3));
  if (random.chance(0.3)) look.blur = random.between(0.4, 0.9);
  if (random.chance(0.5)) look.noise = random.between(0, 0.05);
  look.noise_seed = static_cast<std::uint64_t>(random.uniform() * 0x1p24);
  return look;
}

// ---- strokes, in the board's own coordinates

Point to_canvas(const Board& board, Point p) {
  const double turn = board.angle * std::numbers::pi / 180, c = std::cos(turn), s = std::sin(turn);
  const double x = (p.x - 1.5) * board.cell_width, y = (p.y - 1.5) * board.cell_height;
  return {board.center.x + c * x - s * y, board.center.y + s * x + c * y};
}

// A hand that goes astray, as far as `unsteady` says.
class Hand {
 public:
  Hand(const Board& board, std::uint64_t stroke)
      : random_(board.hand * 64 + stroke), unsteady_(board.unsteady) {}

  // Up to `most` either way, in cells.
  double astray(double most) { return unsteady_ * random_.between(-most, most); }

  // From a to b, not quite straight.
  Stroke line(Point a, Point b) {
    constexpr int kParts = 6;
    const double bend = astray(0.08), wave = astray(0.03);
    Stroke stroke;
    for (int i = 0; i <= kParts; ++i) {
      const double t = double(i) / kParts, off = bend * std::sin(std::numbers::pi * t) +
                                                 wave * std::sin(3 * std::numbers::pi * t);
      const double dx = b.x - a.x, dy = b.y - a.y, length = std::hypot(dx, dy);
      stroke.push_back({a.x + t * dx - off * dy / length, a.y + t * dy + off * dx / length});
    }
    return stroke;
  }

 private:
  Random random_;
  double unsteady_;
};

std::vector<Stroke> strokes_of_lines(const Board& board) {
  std::vector<Stroke> drawn;
  for (int k = board.framed ? 0 : 1; k <= (board.framed ? 3 : 2); ++k) {
    for (const bool down : {false, true}) {
      Hand hand(board, static_cast<std::uint64_t>(2 * k + down));
      const double from = hand.astray(0.15), to = 3 + hand.astray(0.15);
      const double first = k + hand.astray(0.08), last = k + hand.astray(0.08);
      drawn.push_back(down ? hand.line({first, from}, {last, to})
                           : hand.line({from, first}, {to, last}));
    }
  }
  return drawn;
}

std::vector<Stroke> strokes_of_mark(const Board& board, int cell) {
  constexpr int kCorners = 20;
  Hand hand(board, static_cast<std::uint64_t>(16 + cell));
  const int column = cell % 3, row = cell / 3;
  const Point center = {column + 0.5 + hand.astray(0.08), row + 0.5 + hand.astray(0.08)};
  const double a = board.radius * (1 + hand.astray(0.2)), b = board.radius * (1 + hand.astray(0.2));
  const auto around = [&](double x, double y) { return Point{center.x + x * a, center.y + y * b}; };
  const auto off = [&] { return hand.astray(0.25); };
  if (board.cells[cell] == Mark::x) {
    return {hand.line(around(-1 + off(), -1 + off()), around(1 + off(), 1 + off())),
            hand.line(around(1 + off(), -1 + off()), around(-1 + off(), 1 + off()))};
  }
  const double first = hand.astray(std::numbers::pi), sweep = 1 + hand.astray(0.08);
  const double dent = hand.astray(0.1), where = hand.astray(std::numbers::pi);
  Stroke round;
  for (int i = 0; i <= kCorners; ++i) {
    const double angle = first + 2 * std::numbers::pi * sweep * i / kCorners;
    const double r = 1 + dent * std::sin(2 * angle + where);
    round.push_back(around(r * std::sin(angle), -r * std::cos(angle)));
  }
  return {round};
}

void draw(View<double, 3> picture, const Board& board, std::vector<Stroke> strokes,
          const Pen& pen) {
  const Scale scale(board.look);
  for (Stroke& stroke : strokes) {
    for (Point& p : stroke) p = to_canvas(board, p);
    stroke = to_picture(stroke, scale);
  }
  paint_strokes(picture, strokes, pen.width * scale.even / 2, pen.ink);
}

}  // namespace

Board parse_board(std::string_view text) {
  Board board;
  board.x.ink = typical(Color::blue);
  board.o.ink = typical(Color::red);
  if (text.size() != 9) throw std::invalid_argument("a board has nine cells, such as xo..x...o");
  for (std::size_t i = 0; i < 9; ++i) {
    const auto mark = kMarks.find(text[i]);
    if (mark == std::string_view::npos) {
      throw std::invalid_argument("a cell of a board is x, o or a dot for nothing");
    }
    board.cells[i] = Mark{static_cast<int>(mark)};
  }
  return board;
}

Board random_board(Split split, std::uint64_t index) {
  Random random(scene_seed(split, index));
  Board board;
  board.cells = random_cells(random);
  board.look = random_look(random);
  board.cell_width = random.between(46, 70);
  board.cell_height = std::clamp(board.cell_width * std::exp2(random.between(-0.2, 0.2)), 46., 70.);
  board.angle = random.between(-5, 5);
  const auto place = [&](double cell) {
    const double reach = std::min(1.6 * cell, kCanvas / 2);
    return random.between(reach, kCanvas - reach);
  };
  board.center = {place(board.cell_width), place(board.cell_height)};
  board.radius = random.between(0.25, 0.37);
  board.framed = random.chance(0.25);
  const auto pen = [&] {
    return Pen{ink_on(board.look.background, random), 3 * std::exp2(random.between(0, 2))};
  };
  board.lines = board.x = board.o = pen();
  if (random.chance(0.6)) {
    board.x = pen();
    board.o = pen();
  }
  board.unsteady = random.chance(0.25) ? 0 : random.uniform();
  board.hand = static_cast<std::uint64_t>(random.uniform() * 0x1p24);
  return board;
}

std::string text_of(const Cells& cells) {
  std::string text;
  for (const Mark mark : cells) text += kMarks[static_cast<std::size_t>(mark)];
  return text;
}

char winner_of(const Cells& cells) {
  const bool x = has_line(cells, Mark::x), o = has_line(cells, Mark::o);
  return x == o ? '-' : x ? 'X' : 'O';
}

std::optional<int> cell_at(const Board& board, Point point) {
  const double turn = board.angle * std::numbers::pi / 180, c = std::cos(turn), s = std::sin(turn);
  const double x = point.x - board.center.x, y = point.y - board.center.y;
  const double column = (c * x + s * y) / board.cell_width + 1.5;
  const double row = (c * y - s * x) / board.cell_height + 1.5;
  if (column < 0 || column >= 3 || row < 0 || row >= 3) return std::nullopt;
  return 3 * static_cast<int>(row) + static_cast<int>(column);
}

CanvasBox box_of_cell(const Board& board, int cell) {
  const int column = cell % 3, row = cell / 3;
  CanvasBox box = {kCanvas, kCanvas, 0, 0};
  for (const auto& [x, y] : {std::pair{0, 0}, {0, 1}, {1, 0}, {1, 1}}) {
    const Point p = to_canvas(board, {double(column + x), double(row + y)});
    box = {std::min(box[0], p.y), std::min(box[1], p.x), std::max(box[2], p.y),
           std::max(box[3], p.x)};
  }
  return box;
}

RgbImage render(const Board& board) {
  Paint picture = paint_background(board.look);
  draw(picture.view(), board, strokes_of_lines(board), board.lines);
  for (int i = 0; i < 9; ++i) {
    if (board.cells[i] == Mark::none) continue;
    draw(picture.view(), board, strokes_of_mark(board, i),
         board.cells[i] == Mark::x ? board.x : board.o);
  }
  return photograph(std::move(picture), board.look);
}

}  // namespace paligemma::world
