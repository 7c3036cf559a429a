// What transformers and keras_hub make of a picture: tests/golden/README.md, "Embeddings".
#pragma once

#include <cstring>
#include <string>
#include <utility>

#include "paligemma/checkpoint.h"
#include "paligemma/model.h"
#include "paligemma/pipeline.h"
#include "tests/support/compare.h"
#include "tests/support/golden.h"
#include "tests/support/source_dir.h"

namespace paligemma::test {

inline const std::string kSiglip = source_dir() + "/tests/golden/siglip";
inline const std::string kKerasVit = source_dir() + "/tests/golden/keras_vit";

// A float tensor of a golden file as rows, and its tolerance.
class EmbeddingGolden {
 public:
  explicit EmbeddingGolden(const std::string& folder) : file_(folder + "/golden.safetensors") {}

  View<const float, 2> rows(const std::string& name) const {
    const auto& entry = file_.tensors().at(name);
    const Index width = entry.shape.back();
    return {numbers(name), {entry.count() / width, width}};
  }
  View<const float, 3> pixels(const std::string& name) const {
    const auto& shape = file_.tensors().at(name).shape;
    return {numbers(name), {shape[0], shape[1], shape[2]}};
  }
  Tolerance tolerance(const std::string& name) const { return {0, *numbers(name + ":tolerance")}; }

 private:
  const float* numbers(const std::string& name) const {
    return reinterpret_cast<const float*>(file_.tensors().at(name).bytes.data());
  }
  SafetensorsFile file_;
};

// Rows of an executor as the host has them.
template <class On>
Buffer<float, 2> on_host(const On& on, BufferOn<On, float, 2> rows) {
  if constexpr (OnHost<On>) {
    return rows;
  } else {
    return to_host(on, rows.view());
  }
}

// Each kind of pooling, and each activation behind the projector.
template <class On>
void embeds_as_keras_hub_does(On on) {
  const EmbeddingGolden golden(kKerasVit);
  Config config;  // as make_keras_vit_golden.py has it
  config.vision = {.image_size = 20,
                   .patch_size = 6,
                   .width = 24,
                   .mlp_width = 40,
                   .heads = 3,
                   .layers = 2,
                   .head_mlp_width = 24,
                   .head_gelu = GeluForm::exact};
  config.pooling_head = true;
  config.text.width = 14;
  Checkpoint checkpoint(kKerasVit + "/model.safetensors", config);
  auto placed = place_weights<float>(on, checkpoint, config, {});
  Model<On, WeightsOn<On, float>> model{
      std::move(on),           config.vision, config.text, 0, std::move(placed.weights),
      std::move(placed.memory)};

  const auto pixels = golden.pixels("pixels");
  BufferOn<On, float, 3> there(pixels.shape(), unwritten);
  copy_from_host(model.on, pixels, there.view());
  siglip::EncoderScratch<On> scratch(config.vision);
  using siglip::Pool;
  using enum ProjectorActivation;
  const std::tuple<const char*, Pool, ProjectorActivation> cases[] = {
      {"none", Pool::none, none},
      {"gap", Pool::mean, none},
      {"zero", Pool::first, none},
      {"map", Pool::attention, none},
      {"none/gelu", Pool::none, gelu},
      {"gap/tanh", Pool::mean, tanh},
      {"zero/softmax", Pool::first, softmax},
      {"map/gelu", Pool::attention, gelu}};
  for (const auto& [name, pool, activation] : cases) {
    model.projector_activation = activation;
    const auto rows = on_host(
        model.on, embed_image(model, std::as_const(there).view(), pool, true, scratch, NoTap()));
    EXPECT_TRUE(close(rows.view(), golden.rows(name), golden.tolerance(name))) << name;
  }
}

// From the picture's file to what SigLIP's own head says.
template <class On>
void embeds_as_transformers_does(On on) {
  const EmbeddingGolden golden(kSiglip);
  const Pipeline<On> pipeline(std::move(on), {.model = kSiglip, .towers = Towers::vision});
  const RgbImage picture = read_image(source_dir() + "/tests/golden/paligemma1/picture.png");
  Recorder recorder;
  const auto pooled = pipeline.embed(picture.view(), {}, std::ref(recorder));
  EXPECT_TRUE(close(pooled.view(), golden.rows("img/pooled"), golden.tolerance("img/pooled")));
  for (const char* name : {"img/pixels", "img/encoded", "img/pooled"}) {
    const auto& heard = recorder.taps.at(name).numbers;
    const auto expected = golden.rows(name);
    const View<const float, 2> actual(heard.data(), expected.shape());
    ASSERT_EQ(static_cast<Index>(heard.size()), expected.count()) << name;
    EXPECT_TRUE(close(actual, expected, golden.tolerance(name))) << name;
  }
}

}  // namespace paligemma::test
