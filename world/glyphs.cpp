#include "world/glyphs.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace paligemma::world {
namespace {

// Points on a grid of 5 columns and 7 rows, each as column and row; a space lifts the pen.
constexpr std::array<std::string_view, 26> kLetters = {
    "062046 1434",                // A
    "06003041423303 3344453606",  // B
    "4130100105163645",           // C
    "06003041453606",             // D
    "40000646 0333",              // E
    "400006 0333",                // F
    "41301001051636454323",       // G
    "0006 4046 0343",             // H
    "1030 2026 1636",             // I
    "404536160504",               // J
    "0006 400346",                // K
    "000646",                     // L
    "0600234046",                 // M
    "06004640",                   // N
    "100105163645413010",         // O
    "06003041423303",             // P
    "100105163645413010 2446",    // Q
    "06003041423303 2346",        // R
    "413010010213334445361605",   // S
    "0040 2026",                  // T
    "000516364540",               // U
    "002640",                     // V
    "0016233640",                 // W
    "0046 4006",                  // X
    "002340 2326",                // Y
    "00400646",                   // Z
};
constexpr std::array<std::string_view, 10> kDigits = {
    "100105163645413010 4105",              // 0
    "022026 0646",                          // 1
    "01103041420646",                       // 2
    "0110304142334445361605 1333",          // 3
    "36300444",                             // 4
    "400003334445361605",                   // 5
    "4130100105163645443303",               // 6
    "004016",                               // 7
    "103041423313020110 1304051636454433",  // 8
    "4313020110304145361605",               // 9
};

}  // namespace

std::vector<Stroke> glyph(char character) {
  std::string_view drawing;
  if (character >= 'A' && character <= 'Z') drawing = kLetters[character - 'A'];
  if (character >= '0' && character <= '9') drawing = kDigits[character - '0'];
  std::vector<Stroke> strokes;
  while (!drawing.empty()) {
    const auto end = std::min(drawing.find(' '), drawing.size());
    Stroke stroke;
    for (std::size_t i = 0; i + 1 < end; i += 2) {
      stroke.push_back({(drawing[i] - '0') / 4.0, (drawing[i + 1] - '0') / 6.0});
    }
    strokes.push_back(stroke);
    drawing.remove_prefix(std::min(end + 1, drawing.size()));
  }
  return strokes;
}

}  // namespace paligemma::world
