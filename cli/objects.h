// The objects of an answer as JSON, with their masks as pictures.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "processing/detections.h"
#include "processing/segmentation.h"
#include "tensor/json.h"

namespace paligemma::cli {

// A grey picture as a PNG file in base64.
std::string png_base64(View<const std::uint8_t, 2> mask);

// `masks` is empty, or has an entry for each object. Width and height are 0 where there are several pictures: which
// one a box is in nobody knows, so it is null in pixels.
Json objects_json(const std::vector<Detection>& detections,
                  const std::vector<std::optional<Mask>>& masks, Index width, Index height);

// What to tell somebody who has no mask decoder: where it is to be had if an object has a mask.
std::string mask_decoder_note(const std::vector<Detection>& detections);

}  // namespace paligemma::cli
