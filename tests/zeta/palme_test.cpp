#include "zeta/palme.h"

#include "tests/support/zeta.h"

namespace paligemma {
namespace {

using namespace test;

struct SmallPalmE {
  zeta::PalmEShape shape = [] {
    zeta::PalmEShape d;
    d.vision.image_size = 6;
    d.vision.patch_size = 2;
    d.vision.layers = small_layers("af", false);
    d.text = small_transformer(small_layers("acfacf", true));
    return d;
  }();
  zeta::WeightStore<Reference, float> store = random_weights();
  zeta::PalmEWeights<ZetaWeights> weights = zeta::load_palme<ZetaWeights>(shape, store);
  zeta::VisionScratch<Reference> picture{reference, shape.vision, weights.vision};
  zeta::TransformerScratch<Reference> text{
      reference, shape.text, weights.text, {.rows = 6, .keys = 6, .context = 9, .keeps = true}, 6};

  void look_at(unsigned seed) {
    const auto pixels = random<float, 3>({6, 6, 3}, seed);
    zeta::look_at(reference, weights, shape, pixels.view(), picture, text, NoTap());
  }
  Buffer<float, 2> logits(const std::vector<TokenId>& ids) {
    zeta::Words<Reference> words;
    words.ids = ids;
    const auto rows =
        zeta::transformer(reference, weights.text, shape.text, words, kNoMemories, text, NoTap());
    const auto y = zeta::logits(reference, weights.text, rows, text, NoTap());
    Buffer<float, 2> kept(y.shape());
    copy(reference, y, kept.view());
    return kept;
  }
};

TEST(PalmE, WordsSeeThePicture) {
  SmallPalmE model;
  model.look_at(1);
  const auto one = model.logits({2, 3});
  model.look_at(2);
  EXPECT_FALSE(close(model.logits({2, 3}).view(), one.view(), Tolerance{0, 1e-3}));
  model.look_at(1);
  EXPECT_TRUE(close(model.logits({2, 3}).view(), one.view(), kExact));
}

// Its keys and values stay while words come and go.
TEST(PalmE, ThePictureIsLookedAtOnce) {
  SmallPalmE model;
  model.look_at(1);
  const auto whole = model.logits({2, 3, 4});
  zeta::restart(model.text);
  model.logits({2, 3});
  const auto last = model.logits({4});
  EXPECT_TRUE(close(last.view(), whole.view().rows(2, 3), kOtherOrder));
}

}  // namespace
}  // namespace paligemma
