#include "cli/objects.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "processing/write_image.h"

namespace paligemma::cli {
namespace {

// Three bytes are four digits of six bits; what lacks at the end is "=".
std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t j = i; j < i + 3; ++j) {
      bits = bits << 8 | (j < bytes.size() ? static_cast<unsigned char>(bytes[j]) : 0);
    }
    for (std::size_t digit = 0; digit < 4; ++digit) {
      text += i + digit > bytes.size() ? '=' : kDigits[bits >> (18 - 6 * digit) & 63];
    }
  }
  return text;
}

}  // namespace

std::string png_base64(View<const std::uint8_t, 2> mask) {
  const auto grey = mask.reshaped<3>({mask.size(0), mask.size(1), 1});
  return base64(encode_image(grey, ImageFormat::png));
}

Json objects_json(const std::vector<Detection>& detections,
                  const std::vector<std::optional<Mask>>& masks, Index width, Index height) {
  std::vector<Json> objects;
  for (std::size_t i = 0; i < detections.size(); ++i) {
    const Detection& d = detections[i];
    const Box box = pixel_box(d, static_cast<int>(width), static_cast<int>(height));
    const Json pixels = width == 0 ? Json() : array({box.x_min, box.y_min, box.x_max, box.y_max});
    const bool has_mask = !masks.empty() && masks[i];
    objects.push_back(
        object({{"label", d.label},
                {"box_yxyx_bins", array_of(d.bins)},
                {"box_xyxy_px", pixels},
                {"mask_codes", array_of(d.mask)},
                {"mask_png_base64", has_mask ? Json(png_base64(masks[i]->view())) : Json()}}));
  }
  return array(objects);
}

std::string mask_decoder_note(const std::vector<Detection>& detections) {
  const bool has_masks = std::any_of(detections.begin(), detections.end(),
                                     [](const Detection& d) { return !d.mask.empty(); });
  if (!has_masks) return "";
  return "there are masks but no mask decoder, so none is drawn; the published one is "
         "gs://big_vision/paligemma/vae-oid.npz (8,479,556 bytes): put it beside the model or name "
         "it by --mask-decoder";
}

}  // namespace paligemma::cli
