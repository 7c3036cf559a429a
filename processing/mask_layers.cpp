#include "processing/mask_layers.h"

#include <algorithm>

#include "tensor/errors.h"
#include "tensor/safetensors.h"

namespace paligemma {
namespace {

constexpr Index kMaxWidth = 1024, kAny = MaskLayerReader::kAnyWidth;
constexpr Index kWorthThreads = 1 << 20;  // multiply-adds: fewer are done before threads have met

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

// The pixel of y at r, q looks at those of x around stride * r, stride * q.
void look_up(View<const float, 3> x, View<const float, 4> weight, View<const float, 1> bias,
             Index stride, View<float, 3> y) {
  const Index k = weight.size(0), O = weight.size(3), border = (k - 1) / 2;
  const Index products = y.size(0) * y.size(1) * weight.count();
#pragma omp parallel for collapse(2) if (products >= kWorthThreads)
  for (Index r = 0; r < y.size(0); ++r) {
    for (Index q = 0; q < y.size(1); ++q) {
      for (Index o = 0; o < O; ++o) y(r, q, o) = bias(o);
      for (Index i = 0; i < k; ++i) {
        for (Index j = 0; j < k; ++j) {
          const Index from_r = stride * r + i - border, from_q = stride * q + j - border;
          if (!inside(x, from_r, from_q)) continue;
          add_product(x.row(from_r).row(from_q), weight.row(i).row(j), y.row(r).row(q));
        }
      }
    }
  }
}

std::string shape_with_any(const std::vector<Index>& shape) {
  std::string text;
  for (Index size : shape) {
    text += text.empty() ? "" : ", ";
    text += (size == kAny ? "1 to " : "") + std::to_string(size == kAny ? kMaxWidth : size);
  }
  return "[" + text + "]";
}

}  // namespace

void convolve(View<const float, 3> x, View<const float, 4> weight, View<const float, 1> bias,
              View<float, 3> y) {
  check_layer(x, weight, bias, y);
  PG_CHECK(weight.size(0) % 2 == 1 && y.size(0) == x.size(0) && y.size(1) == x.size(1),
           "weight " + shape_text(weight) + ", y " + shape_text(y));
  look_up(x, weight, bias, 1, y);
}

void convolve_halving(View<const float, 3> x, View<const float, 4> weight,
                      View<const float, 1> bias, View<float, 3> y) {
  check_layer(x, weight, bias, y);
  PG_CHECK(weight.size(0) == 4 && x.size(0) == 2 * y.size(0) && x.size(1) == 2 * y.size(1),
           "x " + shape_text(x) + ", weight " + shape_text(weight) + ", y " + shape_text(y));
  look_up(x, weight, bias, 2, y);
}

void convolve_transposed(View<const float, 3> x, View<const float, 4> weight,
                         View<const float, 1> bias, View<float, 3> y) {
  const Index H = x.size(0), W = x.size(1), O = weight.size(3);
  check_layer(x, weight, bias, y);
  PG_CHECK(weight.size(0) == 4 && y.size(0) == 2 * H && y.size(1) == 2 * W,
           "weight " + shape_text(weight) + ", y " + shape_text(y));

  // For each pixel of y, the pixels of x that paint it: at most two in each direction.
  const Index products = H * W * weight.count();
#pragma omp parallel for collapse(2) if (products >= kWorthThreads)
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

void relu(View<float, 3> x) {
  for (Index i = 0; i < x.count(); ++i) x.data()[i] = std::max(0.0f, x.data()[i]);
}

Buffer<float, 3> convolved(const Buffer<float, 3>& x, const MaskLayer& layer) {
  const auto shape = x.view().shape();
  Buffer<float, 3> y({shape[0], shape[1], layer.outputs()}, unwritten);
  convolve(x.view(), layer.weight.view(), layer.bias.view(), y.view());
  return y;
}

void add_residuals(const std::vector<MaskLayer>& blocks, Buffer<float, 3>& x) {
  for (std::size_t block = 0; block < blocks.size(); block += 3) {
    Buffer<float, 3> y = convolved(x, blocks[block]);
    relu(y.view());
    y = convolved(y, blocks[block + 1]);
    relu(y.view());
    y = convolved(y, blocks[block + 2]);
    for (Index i = 0; i < x.view().count(); ++i) x.view().data()[i] += y.view().data()[i];
  }
}

Buffer<float, 2> MaskLayerReader::codebook() {
  const NpyArray stored = array("_vq_vae._embedding", {kMaskCodes, kAny});
  Buffer<float, 2> codebook({stored.shape[0], stored.shape[1]}, unwritten);
  std::copy(stored.numbers.begin(), stored.numbers.end(), codebook.view().data());
  return codebook;
}

// PyTorch has outputs first, [O, C, k, k], but for a transposed convolution inputs, [C, O, k, k].
MaskLayer MaskLayerReader::convolution(const std::string& name, Index C, Index O, Index k) {
  return layer(name, {O, C, k, k}, 1, 0);
}
MaskLayer MaskLayerReader::transposed(const std::string& name, Index C) {
  return layer(name, {C, kAny, 4, 4}, 0, 1);
}

std::vector<MaskLayer> MaskLayerReader::residual(const std::string& first,
                                                 const std::string& second, Index C) {
  std::vector<MaskLayer> layers;
  for (const std::string& block : {first, second}) {
    layers.push_back(convolution(block + ".net.0", C, C, 3));
    layers.push_back(convolution(block + ".net.2", C, C, 3));
    layers.push_back(convolution(block + ".net.4", C, C, 1));
  }
  return layers;
}

NpyArray MaskLayerReader::array(const std::string& name, const std::vector<Index>& expected) {
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

MaskLayer MaskLayerReader::layer(const std::string& name, const std::vector<Index>& shape, int in,
                                 int out) {
  const NpyArray stored = array(name + ".weight", shape);
  const auto& s = stored.shape;
  const View<const float, 4> w(stored.numbers.data(), {s[0], s[1], s[2], s[3]});

  // The same numbers seen with outputs last, then copied in that order.
  const View<const float, 4> outputs_last(
      w.data(), {w.size(2), w.size(3), w.size(in), w.size(out)},
      {w.stride()[2], w.stride()[3], w.stride()[in], w.stride()[out]});
  MaskLayer layer{Buffer<float, 4>(outputs_last.shape(), unwritten),
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

}  // namespace paligemma
