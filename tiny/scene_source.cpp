#include "tiny/scene_source.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "processing/resize.h"
#include "tensor/errors.h"
#include "tensor/paths.h"
#include "world/render.h"

namespace paligemma::tiny {

namespace fs = std::filesystem;

namespace {

constexpr double kPhotoShare = 0.03;
constexpr Index kMaskSide = 64;

// A copy of x [y0 : y0 + height, x0 : x0 + width, :].
RgbImage cut_out(View<const std::uint8_t, 3> x, Index y0, Index x0, Index height, Index width) {
  RgbImage part({height, width, 3}, unwritten);
  for (Index y = 0; y < height; ++y) {
    const auto from = x.row(y0 + y).rows(x0, x0 + width);
    std::copy_n(from.data(), from.count(), part.view().row(y).data());
  }
  return part;
}

// The pictures of a folder, by name.
std::vector<RgbImage> read_all(const fs::path& folder) {
  if (!is_folder(folder)) throw NotFoundError(folder.string() + ": no such folder");
  std::vector<fs::path> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) names.push_back(entry.path());
  std::sort(names.begin(), names.end());
  std::vector<RgbImage> pictures;
  pictures.reserve(names.size());
  for (const fs::path& name : names) pictures.push_back(read_image(name));
  if (pictures.empty()) throw ImageError(folder.string() + ": has no pictures");
  return pictures;
}

}  // namespace

SceneSource::SceneSource(world::Split split, double texts, const fs::path& photos)
    : split_(split), texts_(texts) {
  if (!photos.empty()) photos_ = read_all(photos);
}

RgbImage SceneSource::cutting(world::Random& random) const {
  const auto photo = random.one_of(std::span(photos_)).view();
  const auto part_of = [&](Index size) {
    return std::max<Index>(1,
                           static_cast<Index>(static_cast<double>(size) * random.between(0.3, 1)));
  };
  const Index height = part_of(photo.size(0)), width = part_of(photo.size(1));
  const Index y0 = random.below(static_cast<int>(photo.size(0) - height) + 1);
  const Index x0 = random.below(static_cast<int>(photo.size(1) - width) + 1);
  return cut_out(photo, y0, x0, height, width);
}

DrawnScene SceneSource::without_picture(std::uint64_t index) const {
  world::Random random(world::scene_seed(split_, index) ^ (std::uint64_t{1} << 61));
  const bool is_photo = !photos_.empty() && random.chance(kPhotoShare);
  world::Scene scene = is_photo ? world::Scene{} : world::random_scene(split_, index, texts_);
  world::Truth truth = world::truth_of(scene);
  return {std::move(scene), std::move(truth), is_photo, random};
}

void SceneSource::draw(DrawnScene& scene) const {
  scene.picture = scene.is_photo ? cutting(scene.random) : world::render(scene.scene);
}

DrawnScene SceneSource::at(std::uint64_t index) const {
  DrawnScene scene = without_picture(index);
  draw(scene);
  return scene;
}

Buffer<std::uint8_t, 2> small_mask(const world::Scene& scene, const world::Truth& truth,
                                   std::size_t thing) {
  const auto mask = world::render_mask(scene, thing);
  const Index height = mask.view().size(0), width = mask.view().size(1);
  const world::CanvasBox& box = truth.things[thing].box;
  const auto pixel = [](double v, Index size) {
    return static_cast<Index>(std::lround(v / world::kCanvas * static_cast<double>(size)));
  };
  const Index y0 = pixel(box[0], height), y1 = pixel(box[2], height);
  const Index x0 = pixel(box[1], width), x1 = pixel(box[3], width);
  RgbImage grey({y1 - y0, x1 - x0, 3}, unwritten), small({kMaskSide, kMaskSide, 3}, unwritten);
  for (Index y = y0; y < y1; ++y) {
    for (Index x = x0; x < x1; ++x) {
      for (Index c = 0; c < 3; ++c) grey.view()(y - y0, x - x0, c) = mask.view()(y, x);
    }
  }
  resize(grey.view(), ResampleFilter::bilinear, small.view());
  Buffer<std::uint8_t, 2> result({kMaskSide, kMaskSide}, unwritten);
  for (Index i = 0; i < result.view().count(); ++i) {
    result.view().data()[i] = small.view().data()[3 * i];
  }
  return result;
}

}  // namespace paligemma::tiny
