#include "paligemma/config_parts.h"

#include <algorithm>
#include <array>

namespace paligemma {
namespace {

// One number for all channels, or three.
std::array<float, 3> per_channel(const JsonFields& fields, const char* name,
                                 std::array<float, 3> absent) {
  constexpr double kMax = 1e6;
  if (fields.is_null(name)) fields.fail(name, "null");
  if (!fields.has(name)) return absent;
  std::array<float, 3> channels{};
  if (fields.is_number(name)) {
    channels.fill(static_cast<float>(fields.number(name, -kMax, kMax)));
    return channels;
  }
  const auto values = fields.numbers(name, -kMax, kMax);
  if (values.size() != 3) fields.fail(name, "must be one number or three");
  std::transform(values.begin(), values.end(), channels.begin(),
                 [](double value) { return static_cast<float>(value); });
  return channels;
}

// {"height": 224, "width": 224}, [224, 224], or 224 where that means a square.
void check_size(const JsonFields& fields, Index image_size) {
  const char* name = "size";
  if (fields.is_null(name)) fields.fail(name, "null");
  if (!fields.has(name)) return;
  constexpr Index kMax = 1 << 14;
  std::vector<Index> sides;
  if (fields.is_object(name)) {
    const JsonFields size = fields.object(name);
    if (size.names() != std::vector<std::string>{"height", "width"}) {
      fields.fail(name, size.all() + " is not one height and one width");
    }
    sides = {size.whole("height", kMax), size.whole("width", kMax)};
  } else if (fields.is_list(name)) {
    sides = fields.whole_numbers(name, kMax);
  } else {
    sides.assign(2, fields.whole(name, kMax));
    if (!fields.flag("default_to_square", false)) {
      fields.fail(name, "is the shorter side's, and the picture must be square");
    }
  }
  if (sides != std::vector<Index>(2, image_size)) {
    fields.fail(name, "is not vision_config.image_size, " + std::to_string(image_size));
  }
}

}  // namespace

std::set<TokenId> end_tokens_of(const JsonFields& fields) {
  const char* name = "eos_token_id";
  if (!fields.has(name)) return {};
  constexpr Index kLast = (1 << 24) - 1;
  const auto ids = fields.is_list(name) ? fields.whole_numbers(name, kLast)
                                        : std::vector{fields.whole(name, kLast)};
  return {ids.begin(), ids.end()};
}

void read_image_processor(const JsonFields& fields, Config& config) {
  const char* type =
      fields.has("image_processor_type") ? "image_processor_type" : "feature_extractor_type";
  if (!fields.text(type, "Siglip").starts_with("Siglip")) {
    fields.fail(type, "\"" + fields.text(type) + "\" is not SigLIP's");
  }
  // Here null means no, and absent means yes.
  const auto does = [&](const char* step) {
    return !fields.is_null(step) && fields.flag(step, true);
  };
  if (!does("do_resize")) fields.fail("do_resize", "a picture of any other size cannot be read");
  fields.refuse_unless("do_center_crop", false);
  if (fields.has("pad_size")) fields.refuse_unless("do_pad", false);
  check_size(fields, config.vision.image_size);
  if (fields.is_null("resample")) fields.fail("resample", "null");
  if (fields.has("resample")) {
    const Index filter = fields.whole("resample", 3);
    if (filter < 2) fields.fail("resample", "is neither 2 nor 3");
    config.resample = filter == 2 ? ResampleFilter::bilinear : ResampleFilter::bicubic;
  }
  config.blends_alpha = does("do_convert_rgb");

  PixelScale& scale = config.pixel_scale;
  if (!does("do_rescale")) {
    scale.rescale = 1;
  } else {
    if (fields.is_null("rescale_factor")) fields.fail("rescale_factor", "null");
    if (fields.has("rescale_factor")) scale.rescale = fields.number("rescale_factor", 0.0, 1.0);
  }
  if (!does("do_normalize")) {
    scale.mean = {0, 0, 0};
    scale.std = {1, 1, 1};
  } else {
    scale.mean = per_channel(fields, "image_mean", scale.mean);
    scale.std = per_channel(fields, "image_std", scale.std);
    for (const float std : scale.std) {
      if (std == 0) fields.fail("image_std", "must not be 0");
    }
  }
  // How many image tokens a prompt is given; the model takes one for each patch.
  const Index tokens = config.vision.patches(), most = Index{1} << 28;
  if (fields.size("image_seq_length", tokens, most) != tokens) {
    fields.fail("image_seq_length", "is not the model's " + std::to_string(tokens) + " patches");
  }
}

}  // namespace paligemma
