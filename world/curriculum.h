// Curriculum: which questions are asked about a picture, in training and in the evaluation.
//
// Read next: world/scores.h.
#pragma once

#include <vector>

#include "world/questions.h"

namespace paligemma::world {

// Up to `count` different questions, in the proportions of training.
// `hard`: more relations and several things to detect at once, the last that is learnt.
std::vector<Question> training_questions(const Truth& truth, int count, Random& random,
                                         bool hard = false);

// A caption, one question to answer (the families in turn by `index`), one detection, one
// segmentation, and ocr where there is a text. In Split::held_out they are about held-out pairs.
std::vector<Question> evaluation_questions(const Truth& truth, Split split, std::uint64_t index);

// The same about a picture from elsewhere, with a question of every family but segmentation.
std::vector<Question> all_questions(const Truth& truth, std::uint64_t index);

}  // namespace paligemma::world
