#include "processing/mask_encoder.h"

#include <utility>

namespace paligemma {
namespace {

std::vector<MaskLayer> shrinking_layers(MaskLayerReader& reader) {
  std::vector<MaskLayer> layers;
  for (const char* name : {"encoder.0", "encoder.2", "encoder.4", "encoder.6"}) {
    const Index C = layers.empty() ? 1 : layers.back().outputs();
    layers.push_back(reader.convolution(name, C, MaskLayerReader::kAnyWidth, 4));
  }
  return layers;
}

// The row that lies nearest to z, the first of equally near ones.
int nearest(View<const float, 2> codebook, View<const float, 1> z) {
  int best = 0;
  double least = 0;
  for (Index k = 0; k < codebook.size(0); ++k) {
    double distance = 0;
    for (Index e = 0; e < z.size(0); ++e) {
      const double apart = double{z(e)} - codebook(k, e);
      distance += apart * apart;
    }
    if (k == 0 || distance < least) {
      best = static_cast<int>(k);
      least = distance;
    }
  }
  return best;
}

}  // namespace

MaskEncoder::MaskEncoder(const std::filesystem::path& file) : MaskEncoder(MaskLayerReader(file)) {}

MaskEncoder::MaskEncoder(MaskLayerReader reader)
    : codebook_(reader.codebook()),
      shrinking_(shrinking_layers(reader)),
      residual_(reader.residual("encoder.8", "encoder.9", shrinking_.back().outputs())),
      last_(reader.convolution("encoder.10", shrinking_.back().outputs(), codebook_.view().size(1),
                               1)) {}

std::array<int, 16> MaskEncoder::encode(View<const std::uint8_t, 2> mask) const {
  PG_CHECK(mask.size(0) == 64 && mask.size(1) == 64, "mask " + shape_text(mask));
  Buffer<float, 3> x({64, 64, 1}, unwritten);
  for (Index r = 0; r < 64; ++r) {
    for (Index q = 0; q < 64; ++q) x.view()(r, q, 0) = mask(r, q) / 127.5f - 1;
  }

  for (const MaskLayer& layer : shrinking_) {
    const auto shape = x.view().shape();
    Buffer<float, 3> y({shape[0] / 2, shape[1] / 2, layer.outputs()}, unwritten);
    convolve_halving(x.view(), layer.weight.view(), layer.bias.view(), y.view());
    relu(y.view());
    x = std::move(y);
  }
  add_residuals(residual_, x);
  const Buffer<float, 3> z = convolved(x, last_);

  std::array<int, 16> codes{};
  for (Index i = 0; i < 16; ++i) {
    codes[i] = nearest(codebook_.view(), z.view().row(i / 4).row(i % 4));
  }
  return codes;
}

}  // namespace paligemma
