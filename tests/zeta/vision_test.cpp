#include "zeta/vision.h"

#include "tests/support/zeta.h"

namespace paligemma {
namespace {

using namespace test;

struct SmallVision {
  zeta::VisionShape shape = [] {
    zeta::VisionShape d;
    d.image_size = 6;
    d.patch_size = 2;
    d.classes = 4;
    d.norm_embeddings = true;
    d.layers = small_layers("afaf", false);
    return d;
  }();
  zeta::WeightStore<Reference, float> store = random_weights();
  zeta::VisionWeights<ZetaWeights> weights = zeta::load_vision<ZetaWeights>(shape, "", store);
};

// Brightness and contrast of a patch are normed away before anything is learned of it.
TEST(Vision, APatchIsNormedBeforeItsLayer) {
  const SmallVision model;
  auto pixels = random<float, 3>({6, 6, 3}, 2);
  zeta::VisionScratch<Reference> s(reference, model.shape, model.weights);
  zeta::vision(reference, model.weights, model.shape, pixels.view(), s, NoTap());
  Buffer<float, 2> before({9, 20});
  copy(reference, s.layers.normed.view(), before.view());
  for (Index i = 0; i < 6 * 6 * 3; ++i) {
    float& pixel = pixels.view().data()[i];
    pixel = 4 * pixel + 1;
  }
  zeta::vision(reference, model.weights, model.shape, pixels.view(), s, NoTap());
  EXPECT_TRUE(close(s.layers.normed.view(), before.view(), Tolerance{1e-3, 1e-3}));  // but for eps
}

TEST(Vision, ClassesComeFromTheMeanOfAllRows) {
  const SmallVision model;
  const auto pixels = random<float, 3>({6, 6, 3}, 2);
  zeta::VisionScratch<Reference> s(reference, model.shape, model.weights);
  zeta::vision(reference, model.weights, model.shape, pixels.view(), s, NoTap());
  zeta::classify(reference, model.weights, model.shape, s);
  for (Index c = 0; c < 4; ++c) {
    double sum = 0;
    for (Index l = 0; l < 9; ++l) {
      for (Index d = 0; d < 20; ++d) {
        sum +=
            static_cast<double>(s.layers.normed.view()(l, d)) * model.weights.head.weight(c, d) / 9;
      }
    }
    EXPECT_NEAR(s.classes.view()(0, c), sum + model.weights.head.bias(c), 1e-5);
  }
}

// Without positions, patches in another place would be the same rows in another place.
TEST(Vision, PatchesAreToldTheirPlaces) {
  const SmallVision model;
  Buffer<float, 3> pixels({6, 6, 3});
  zeta::VisionScratch<Reference> s(reference, model.shape, model.weights);
  zeta::vision(reference, model.weights, model.shape, pixels.view(), s, NoTap());
  const auto y = s.layers.normed.view();
  EXPECT_FALSE(close(y.rows(0, 1), y.rows(1, 2), Tolerance{0, 1e-3}));
}

}  // namespace
}  // namespace paligemma
