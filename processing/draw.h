// Draw: masks, boxes and labels onto a copy of the picture.
//
// Each object has one of five colours, in turn; its mask is half that colour and half the picture.
// Labels are set in stb_easy_font, which knows ASCII.
//
// Read next: processing/image_file.h.
#pragma once

#include <optional>
#include <vector>

#include "processing/detections.h"
#include "processing/image_file.h"
#include "processing/segmentation.h"

namespace paligemma {

// `masks` is empty, or has an entry of the picture's size for each object that has a mask.
RgbImage draw_detections(View<const std::uint8_t, 3> image,
                         const std::vector<Detection>& detections,
                         const std::vector<std::optional<Mask>>& masks = {});

}  // namespace paligemma
