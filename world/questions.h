// Questions: what can be asked about a picture, in PaliGemma's prompt syntax, and the answer.
//
//   caption en                               a red circle and a blue square
//   answer en what color is the star?        purple
//   answer en what shape is red?             circle
//   answer en how many circles are there?    1
//   answer en is there a red star?           no
//   answer en what is left of the red star?  blue square
//   detect red circle ; blue square          <loc....>... red circle ; <loc....>... blue square
//   segment red circle                       <loc....>...<seg...>... red circle
//   ocr                                      A7
//
// Things are named from left to right. What is not there is answered with nothing, or "no shapes".
//
// Paper: Beyer et al. 2024, "PaliGemma", section 3.2.5. Read next: world/scores.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "world/geometry.h"
#include "world/random.h"

namespace paligemma::world {

enum class Task { caption, answer, detect, segment, ocr };
enum class Family { caption, color, shape, count, existence, relation, detect, segment, ocr };

std::string_view name_of(Task task);
std::string_view name_of(Family family);
Task task_of(Family family);

struct Question {
  Family family;
  std::string prompt;
  std::string answer;  // in `segment`, {2} stands for the 16 mask tokens of thing 2
  std::vector<std::size_t> things = {};  // those that detect and segment should find, in order
};

// The question of this family that chance picks; none if the picture leaves none to ask.
// `about_held_out`: asks about the held-out pair in the picture, if there is one. Held-out pairs
// that are not in the picture are never named.
std::optional<Question> question(const Truth& truth, Family family, bool about_held_out,
                                 Random& random);

// <loc....> x 4.
std::string location_tokens(const CanvasBox& box);

}  // namespace paligemma::world
