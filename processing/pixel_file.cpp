#include "processing/pixel_file.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "tensor/errors.h"
#include "tensor/mapped_file.h"
#include "tensor/npz.h"

namespace paligemma {
namespace {

NpyArray read_array(const std::filesystem::path& path) {
  try {
    return parse_npy(MappedFile(path).bytes(), path.string());
  } catch (const NotFoundError& error) {
    throw ImageError(error.what());
  } catch (const ModelFileError& error) {
    throw ImageError(error.what());
  }
}

}  // namespace

Buffer<float, 3> read_pixels(const std::filesystem::path& path, Index R) {
  const NpyArray file = read_array(path);
  const bool channels_first = file.shape == std::vector<Index>{3, R, R};
  if (!channels_first && file.shape != std::vector<Index>{R, R, 3}) {
    std::string shape;
    for (Index axis : file.shape) shape += (shape.empty() ? "" : ", ") + std::to_string(axis);
    const std::string side = std::to_string(R);
    throw ImageError(path.string() + ": pixels [" + shape + "], the model reads [3, " + side +
                     ", " + side + "] or [" + side + ", " + side + ", 3]");
  }
  Buffer<float, 3> pixels({R, R, 3}, unwritten);
  const auto out = pixels.view();
  for (Index i = 0; i < out.count(); ++i) {
    const float number = file.numbers[static_cast<std::size_t>(i)];
    if (!std::isfinite(number)) throw ImageError(path.string() + ": holds a NaN or an infinity");
    out.data()[channels_first ? i % (R * R) * 3 + i / (R * R) : i] = number;
  }
  return pixels;
}

RgbImage shown_by(View<const float, 3> pixels, const PixelScale& scale) {
  RgbImage image({pixels.size(0), pixels.size(1), 3}, unwritten);
  for (Index i = 0; i < pixels.count(); ++i) {
    const auto c = static_cast<std::size_t>(i % 3);
    const double byte = (pixels.data()[i] * scale.std[c] + scale.mean[c]) / scale.rescale;
    image.view().data()[i] = static_cast<std::uint8_t>(std::clamp(std::round(byte), 0.0, 255.0));
  }
  return image;
}

}  // namespace paligemma
