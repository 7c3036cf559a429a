// Scores: how good a model's answers about scenes are.
//
//   caption   exact: word for word; f1: of the color-shape pairs named, over all captions together
//   answer    exact, over all and by family; baseline: what the likeliest answer to each kind of
//             question would score without looking ("what color is the ...?" -> yellow)
//   detect    per thing that is there: the intersection over union of its box and the box found for
//             it (0 if none); recall50, recall75: the share above 0.5, 0.75; absent: the share of
//             phrases for things that are not there that found nothing
//   segment   the intersection over union of the masks, in pixels of the picture
//   ocr       exact
//   invalid   answers to detect and segment that are not the boxes and labels of the grammar
//
// Pairs of wanted and found are made greedily by overlap among the same label. A score of nothing
// is NaN, null in JSON.
//
// Source: big_vision's evaluators (miou, boxacc/0.5, invalid); the baseline after toy-vlm.
// Read next: zeta/palme.h.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "processing/detections.h"
#include "world/curriculum.h"

namespace paligemma::world {

// What a question asks for once colors and shapes are left out: "answer en what color is the *?".
std::string template_of(const std::string& prompt);

// The answer given most often to each template, counted over training scenes.
class Baseline {
 public:
  explicit Baseline(int scenes);
  const std::string& answer(const std::string& prompt) const;

 private:
  std::map<std::string, std::string> answers_;
};

struct Mean {
  double sum = 0;
  std::size_t count = 0;
  void add(double value) { sum += value, ++count; }
  double value() const;  // NaN for nothing
};

// Overlap of two boxes, 0 to 1.
double intersection_over_union(const CanvasBox& a, const CanvasBox& b);
CanvasBox canvas_box(const Detection& detection);

// Which detection stands for each wanted thing, or -1: by falling overlap, among those labelled
// with a phrase of the prompt that fits the thing.
std::vector<int> match(const Truth& truth, const Question& question,
                       const std::vector<Detection>& found);

struct Scores {
  std::size_t scenes = 0;
  Mean caption, caption_baseline, answer, answer_baseline, ocr;
  std::map<std::string, Mean> answer_by;
  double pairs_right = 0, pairs_wanted = 0, pairs_named = 0;  // in captions
  Mean overlap, recall50, recall75, invalid, absent, mask_overlap;

  // All but mask_overlap, which needs a decoder and is added by whoever has one.
  void add(const Truth& truth, const Question& question, const std::string& said,
           const Baseline& baseline);
  void add(const Scores& other);
  double caption_f1() const;
};

}  // namespace paligemma::world
