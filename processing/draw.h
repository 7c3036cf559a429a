// Draw: boxes and their labels onto a copy of the picture.
//
// Each object has one of five colours, in turn. Labels are set in stb_easy_font, which knows ASCII.
#pragma once

#include <vector>

#include "processing/detections.h"
#include "processing/image_file.h"

namespace paligemma {

RgbImage draw_detections(View<const std::uint8_t, 3> image,
                         const std::vector<Detection>& detections);

}  // namespace paligemma
