#include "processing/segmentation.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "processing/resize.h"
#include "tensor/errors.h"
#include "tensor/npz.h"
#include "tensor/safetensors.h"

namespace paligemma {
namespace {

constexpr Index kCodes = 128, kMaxWidth = 1024, kAny = -1;

// y[o] += sum_c x[c] weight[c,o]
void add_product(View<const float, 1> x, View<const float, 2> weight, View<float, 1> y) {
  const Index O = y.size(0);
  float* out = y.data();
  for (Index c = 0; c < x.size(0); ++c) {
    const float x_c = x(c);
    const float* weights = weight.row(c).data();
    for (Index o = 0; o < O; ++o) out[o] += x_c * weights[o];
  }
}

void check_layer(View<const float, 3> x, View<const float, 4> weight, View<const float, 1> bias,
                 View<float, 3> y) {
  PG_CHECK(weight.size(2) == x.size(2) && bias.size(0) == weight.size(3) &&
               y.size(2) == weight.size(3) && weight.size(0) == weight.size(1),
           "x " + shape_text(x) + ", weight " + shape_text(weight) + ", y " + shape_text(y));
  PG_CHECK(x.is_row_major() && weight.is_row_major() && y.is_row_major(),
           "rows must be contiguous");
}

bool inside(View<const float, 3> x, Index r, Index q) {
  return 0 <= r && r < x.size(0) && 0 <= q && q < x.size(1);
}

void relu(View<float, 3> x) {
  for (Index i = 0; i < x.count(); ++i) x.data()[i] = std::max(0.0f, x.data()[i]);
}

}  // namespace

void convolve(View<const float, 3> x, View<const float, 4> weight, View<const float, 1> bias,
              View<float, 3> y) {
  const Index H = x.size(0), W = x.size(1), k = weight.size(0), O = weight.size(3);
  check_layer(x, weight, bias, y);
  PG_CHECK(k % 2 == 1 && y.size(0) == H && y.size(1) == W,
           "weight " + shape_text(weight) + ", y " + shape_text(y));
  const Index border = (k - 1) / 2;

#pragma omp parallel for collapse(2)
  for (Index r = 0; r < H; ++r) {
    for (Index q = 0; q < W; ++q) {
      for (Index o = 0; o < O; ++o) y(r, q, o) = bias(o);
      for (Index i = 0; i < k; ++i) {
        for (Index j = 0; j < k; ++j) {
          const Index from_r = r + i - border, from_q = q + j - border;
          if (!inside(x, from_r, from_q)) continue;
          add_product(x.row(from_r).row(from_q), weight.row(i).row(j), y.row(r).row(q));
        }
      }
    }
  }
}

void convolve_transposed(View<const float, 3> x, View<const float, 4> weight,
                         View<const float, 1> bias, View<float, 3> y) {
  const Index H = x.size(0), W = x.size(1), O = weight.size(3);
  check_layer(x, weight, bias, y);
  PG_CHECK(weight.size(0) == 4 && y.size(0) == 2 * H && y.size(1) == 2 * W,
           "weight " + shape_text(weight) + ", y " + shape_text(y));

  // For each pixel of y, the pixels of x that paint it: at most two in each direction.
#pragma omp parallel for collapse(2)
  for (Index r = 0; r < 2 * H; ++r) {
    for (Index q = 0; q < 2 * W; ++q) {
      for (Index o = 0; o < O; ++o) y(r, q, o) = bias(o);
      for (Index i = 0; i < 4; ++i) {
        for (Index j = 0; j < 4; ++j) {
          const Index twice_r = r + 1 - i, twice_q = q + 1 - j;
          if (twice_r % 2 != 0 || twice_q % 2 != 0) continue;
          if (!inside(x, twice_r / 2, twice_q / 2)) continue;
          add_product(x.row(twice_r / 2).row(twice_q / 2), weight.row(i).row(j), y.row(r).row(q));
        }
      }
    }
  }
}

// Takes the decoder out of a file. `kAny` in a shape is a width that the file decides, up to kMaxWidth.
class MaskDecoder::Reader {
 public:
  explicit Reader(const std::filesystem::path& file) : file_(file) {}

  Buffer<float, 2> codebook() {
    const NpyArray stored = array("_vq_vae._embedding", {kCodes, kAny});
    Buffer<float, 2> codebook({stored.shape[0], stored.shape[1]}, unwritten);
    std::copy(stored.numbers.begin(), stored.numbers.end(), codebook.view().data());
    return codebook;
  }

  // PyTorch has outputs first, [O, C, k, k], but for a transposed convolution inputs, [C, O, k, k].
  Layer convolution(const std::string& name, Index C, Index O, Index k) {
    return layer(name, {O, C, k, k}, 1, 0);
  }
  Layer transposed(const std::string& name, Index C) { return layer(name, {C, kAny, 4, 4}, 0, 1); }

  std::vector<Layer> residual(Index C) {
    std::vector<Layer> layers;
    for (const std::string block : {"decoder.2.net.", "decoder.3.net."}) {
      layers.push_back(convolution(block + "0", C, C, 3));
      layers.push_back(convolution(block + "2", C, C, 3));
      layers.push_back(convolution(block + "4", C, C, 1));
    }
    return layers;
  }

  std::vector<Layer> growing(Index C) {
    std::vector<Layer> layers;
    for (const char* name : {"decoder.4", "decoder.6", "decoder.8", "decoder.10"}) {
      layers.push_back(transposed(name, layers.empty() ? C : width(layers.back())));
    }
    return layers;
  }

  static Index width(const Layer& layer) { return layer.bias.view().size(0); }

 private:
  NpyArray array(const std::string& name, const std::vector<Index>& expected) {
    const std::string where = file_.path().string() + ": array " + name;
    const std::string wanted = ", expected " + shape_with_any(expected);
    if (file_.arrays().count(name) == 0) throw ModelFileError(where + " is missing" + wanted);
    NpyArray found = file_.read(name);
    const bool fits =
        std::equal(found.shape.begin(), found.shape.end(), expected.begin(), expected.end(),
                   [](Index size, Index wish) {
                     return size == wish || (wish == kAny && 0 < size && size <= kMaxWidth);
                   });
    if (!fits) throw ModelFileError(where + " is " + shape_text(found.shape) + wanted);
    return found;
  }

  Layer layer(const std::string& name, const std::vector<Index>& shape, int in, int out) {
    const NpyArray stored = array(name + ".weight", shape);
    const auto& s = stored.shape;
    const View<const float, 4> w(stored.numbers.data(), {s[0], s[1], s[2], s[3]});

    // The same numbers seen with outputs last, then copied in that order.
    const View<const float, 4> outputs_last(
        w.data(), {w.size(2), w.size(3), w.size(in), w.size(out)},
        {w.stride()[2], w.stride()[3], w.stride()[in], w.stride()[out]});
    Layer layer{Buffer<float, 4>(outputs_last.shape(), unwritten),
                Buffer<float, 1>({w.size(out)}, unwritten)};
    float* next = layer.weight.view().data();
    for (Index i = 0; i < outputs_last.size(0); ++i) {
      for (Index j = 0; j < outputs_last.size(1); ++j) {
        for (Index c = 0; c < outputs_last.size(2); ++c) {
          for (Index o = 0; o < outputs_last.size(3); ++o) *next++ = outputs_last(i, j, c, o);
        }
      }
    }
    const NpyArray bias = array(name + ".bias", {w.size(out)});
    std::copy(bias.numbers.begin(), bias.numbers.end(), layer.bias.view().data());
    return layer;
  }

  static std::string shape_with_any(const std::vector<Index>& shape) {
    std::string text;
    for (Index size : shape) {
      text += text.empty() ? "" : ", ";
      text += (size == kAny ? "1 to " : "") + std::to_string(size == kAny ? kMaxWidth : size);
    }
    return "[" + text + "]";
  }

  NpzFile file_;
};

MaskDecoder::MaskDecoder(const std::filesystem::path& file) : MaskDecoder(Reader(file)) {}

MaskDecoder::MaskDecoder(Reader reader)
    : codebook_(reader.codebook()),
      first_(reader.convolution("decoder.0", codebook_.view().size(1), kAny, 1)),
      residual_(reader.residual(Reader::width(first_))),
      growing_(reader.growing(Reader::width(first_))),
      last_(reader.convolution("decoder.12", Reader::width(growing_.back()), 1, 1)) {}

Buffer<float, 2> MaskDecoder::decode(std::span<const int> codes) const {
  PG_CHECK(codes.size() == 16, std::to_string(codes.size()) + " codes");
  const Index E = codebook_.view().size(1);
  Buffer<float, 3> x({4, 4, E}, unwritten);
  float* next = x.view().data();
  for (int code : codes) {
    PG_CHECK(0 <= code && code < kCodes, std::to_string(code));
    next = std::copy_n(codebook_.view().row(code).data(), E, next);
  }

  const auto convolved = [](const Buffer<float, 3>& from, const Layer& layer) {
    const auto shape = from.view().shape();
    Buffer<float, 3> y({shape[0], shape[1], layer.weight.view().size(3)}, unwritten);
    convolve(from.view(), layer.weight.view(), layer.bias.view(), y.view());
    return y;
  };
  x = convolved(x, first_);
  relu(x.view());
  for (std::size_t block = 0; block < residual_.size(); block += 3) {
    Buffer<float, 3> y = convolved(x, residual_[block]);
    relu(y.view());
    y = convolved(y, residual_[block + 1]);
    relu(y.view());
    y = convolved(y, residual_[block + 2]);
    for (Index i = 0; i < x.view().count(); ++i) x.view().data()[i] += y.view().data()[i];
  }
  for (const Layer& layer : growing_) {
    const auto shape = x.view().shape();
    Buffer<float, 3> y({2 * shape[0], 2 * shape[1], layer.weight.view().size(3)}, unwritten);
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
