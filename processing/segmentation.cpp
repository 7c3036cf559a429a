#include "processing/segmentation.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "processing/resize.h"

namespace paligemma {
namespace {

std::vector<MaskLayer> growing_layers(MaskLayerReader& reader, Index C) {
  std::vector<MaskLayer> layers;
  for (const char* name : {"decoder.4", "decoder.6", "decoder.8", "decoder.10"}) {
    layers.push_back(reader.transposed(name, layers.empty() ? C : layers.back().outputs()));
  }
  return layers;
}

}  // namespace

MaskDecoder::MaskDecoder(const std::filesystem::path& file) : MaskDecoder(MaskLayerReader(file)) {}

MaskDecoder::MaskDecoder(MaskLayerReader reader)
    : codebook_(reader.codebook()),
      first_(
          reader.convolution("decoder.0", codebook_.view().size(1), MaskLayerReader::kAnyWidth, 1)),
      residual_(reader.residual("decoder.2", "decoder.3", first_.outputs())),
      growing_(growing_layers(reader, first_.outputs())),
      last_(reader.convolution("decoder.12", growing_.back().outputs(), 1, 1)) {}

Buffer<float, 2> MaskDecoder::decode(std::span<const int> codes) const {
  PG_CHECK(codes.size() == 16, std::to_string(codes.size()) + " codes");
  const Index E = codebook_.view().size(1);
  Buffer<float, 3> x({4, 4, E}, unwritten);
  float* next = x.view().data();
  for (int code : codes) {
    PG_CHECK(0 <= code && code < kMaskCodes, std::to_string(code));
    next = std::copy_n(codebook_.view().row(code).data(), E, next);
  }

  x = convolved(x, first_);
  relu(x.view());
  add_residuals(residual_, x);
  for (const MaskLayer& layer : growing_) {
    const auto shape = x.view().shape();
    Buffer<float, 3> y({2 * shape[0], 2 * shape[1], layer.outputs()}, unwritten);
    convolve_transposed(x.view(), layer.weight.view(), layer.bias.view(), y.view());
    relu(y.view());
    x = std::move(y);
  }
  x = convolved(x, last_);

  Buffer<float, 2> values({64, 64}, unwritten);
  std::copy_n(x.view().data(), x.view().count(), values.view().data());
  return values;
}

Mask mask_on_picture(View<const float, 2> values, const Box& box, Index width, Index height) {
  const auto pixel = [](double at) { return static_cast<Index>(std::lround(at)); };
  const Index left = pixel(box.x_min), right = pixel(box.x_max);
  const Index top = pixel(box.y_min), bottom = pixel(box.y_max);
  PG_CHECK(
      0 <= left && left <= right && right <= width && 0 <= top && top <= bottom && bottom <= height,
      "the box lies outside the picture, or ends before it begins");
  PG_CHECK(values.count() > 0, "values " + shape_text(values));
  Mask mask({height, width});
  const Index h = values.size(0), W = right - left, H = bottom - top;
  if (W == 0 || H == 0) return mask;

  // Pillow's resizing of floats: first along each row, then along each column.
  Buffer<float, 2> wide({h, W}, unwritten);
  const auto of_column = windows(values.size(1), W, ResampleFilter::bilinear);
  for (Index r = 0; r < h; ++r) {
    for (Index q = 0; q < W; ++q) {
      double sum = 0;
      Index from = of_column[q].first;
      for (double weight : of_column[q].weights) sum += weight * values(r, from++);
      wide.view()(r, q) = static_cast<float>(sum);
    }
  }
  const auto of_row = windows(h, H, ResampleFilter::bilinear);
  for (Index r = 0; r < H; ++r) {
    for (Index q = 0; q < W; ++q) {
      double sum = 0;
      Index from = of_row[r].first;
      for (double weight : of_row[r].weights) sum += weight * wide.view()(from++, q);
      if (static_cast<float>(sum) > 0) mask.view()(top + r, left + q) = 255;
    }
  }
  return mask;
}

std::vector<std::optional<Mask>> masks_of(const MaskDecoder& decoder,
                                          const std::vector<Detection>& detections, Index width,
                                          Index height) {
  std::vector<std::optional<Mask>> masks;
  for (const Detection& d : detections) {
    masks.emplace_back();
    if (d.mask.empty()) continue;
    const Box box = pixel_box(d, static_cast<int>(width), static_cast<int>(height));
    masks.back() = mask_on_picture(decoder.decode(d.mask).view(), box, width, height);
  }
  return masks;
}

}  // namespace paligemma
