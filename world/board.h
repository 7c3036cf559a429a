// Board: a board of noughts and crosses, as somebody drew it.
//
// The canvas is scene.h's, 224 units a side. The board's own coordinates count cells: column and
// row from 0 to 3, from the upper left corner; cell 3 row + column holds a mark or nothing.
//
// Each word that is said about a board is about one place of the picture: it can be seen where a
// model looks as it says it.
//
// Read next: zeta/palme.h.
#pragma once

#include "processing/image_file.h"
#include "world/geometry.h"

namespace paligemma::world {

enum class Mark { none, x, o };
using Cells = std::array<Mark, 9>;  // by rows

struct Pen {
  Rgb ink = {0.08, 0.08, 0.08};
  double width = 7;  // in units of the canvas
};

struct Board {
  Cells cells = {};
  Point center = {kCanvas / 2, kCanvas / 2};
  double cell_width = 60, cell_height = 60;  // in units of the canvas
  double angle = 0;                          // degrees, clockwise
  double radius = 0.32;                      // of a mark, as a share of its cell
  bool framed = false;                       // lines around the board, too
  Pen lines, x, o;
  double unsteady = 0;  // 0: as with a ruler, 1: as by a child
  std::uint64_t hand = 0;
  Look look;
};

// "xo..x...o": x, o and what is nothing, by rows. Throws std::invalid_argument for anything else.
Board parse_board(std::string_view text);

// Any colours, place and pens. Half of the boards are won.
Board random_board(Split split, std::uint64_t index);

std::string text_of(const Cells& cells);

// 'X', 'O', or '-' for nobody, or both.
char winner_of(const Cells& cells);

// The cell of a point of the canvas, or none beside the board.
std::optional<int> cell_at(const Board& board, Point point);

CanvasBox box_of_cell(const Board& board, int cell);

RgbImage render(const Board& board);

}  // namespace paligemma::world
