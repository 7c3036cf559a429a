// Detections: the boxes in an answer, from location tokens to pixels.
//
//   answer := object { ";" object }
//   object := <locYMIN><locXMIN><locYMAX><locXMAX> [ <seg> x 16 ] [ label ]
//
//   bin k of a side of n pixels  =  k / 1023 * n
//
// Bins count along the squashed square that the model saw, hence along the original picture, whatever
// its proportions. The divisor is the training code's; copies that say 1024 are off by up to a
// thousandth of the side. Y comes first. Text that is not part of an object is passed over, and so
// is a box whose end does not lie behind its beginning.
//
// Paper: Beyer et al. 2024, "PaliGemma", sections 3.2.5 and 5.3, after Chen et al. 2021, "Pix2seq";
// big_vision's evaluators for the rule. Read next: processing/segmentation.h.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace paligemma {

struct Detection {
  std::array<int, 4> bins;  // y min, x min, y max, x max, 0 to 1023
  std::vector<int> mask;    // 16 codes, row by row, or none
  std::string label;        // may be empty
};

std::vector<Detection> parse_detections(std::string_view answer);

struct Box {  // in pixels, not rounded
  double x_min, y_min, x_max, y_max;
};

Box pixel_box(const Detection& detection, int width, int height);

}  // namespace paligemma
