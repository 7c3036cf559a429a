#include "cuda/paligemma/weights.h"

#include "tests/support/cuda_test.h"
#include "tests/support/source_dir.h"

namespace paligemma {
namespace {

using namespace test;

const std::string kGolden = source_dir() + "/tests/golden/paligemma1";
const std::string kGolden2 = source_dir() + "/tests/golden/paligemma2";

class CudaWeights : public CudaTest {};

template <class Real>
void expect_uploaded() {
  const Config config = read_config(kGolden2);
  Checkpoint host(kGolden2, config), checkpoint(kGolden2, config);
  const auto expected = host.weights<Real>(config);
  cuda::Stream stream;
  const auto placed = cuda::place_weights<Real>(stream, checkpoint, config, {});
  const auto same = [&](auto there, auto here) {
    EXPECT_TRUE(close(to_host(stream, there).view(), here, kExact));
  };
  same(placed.weights.vision.patch_embedding, expected.vision.patch_embedding);
  same(placed.weights.vision.blocks.back().mlp.fc2.bias,
       expected.vision.blocks.back().mlp.fc2.bias);
  same(placed.weights.projector.weight, expected.projector.weight);
  same(placed.weights.text.embedding, expected.text.embedding);
  same(placed.weights.text.blocks.back().post_mlp_norm, expected.text.blocks.back().post_mlp_norm);
  same(placed.weights.text.head.weight, expected.text.head.weight);
  EXPECT_EQ(stream.math(), (std::is_same_v<Real, float> ? cuda::Math::float32 : cuda::Math::bf16));
}

TEST_F(CudaWeights, AreThoseOfTheCheckpointInEveryType) {
  expect_uploaded<float>();
  expect_uploaded<bf16>();
  expect_uploaded<f16>();
}

TEST_F(CudaWeights, ATiedHeadIsUploadedOnce) {
  const Config config = read_config(kGolden);
  ASSERT_TRUE(config.tied_head);
  Checkpoint checkpoint(kGolden, config);
  cuda::Stream stream;
  std::size_t bytes = 0;
  const auto placed = cuda::place_weights<float>(stream, checkpoint, config,
                                                 [&](std::size_t done, std::size_t all) {
                                                   bytes = done;
                                                   EXPECT_LE(done, all);
                                                 });
  EXPECT_EQ(placed.weights.text.head.weight.data(), placed.weights.text.embedding.data());
  EXPECT_EQ(bytes, static_cast<std::size_t>(parameter_count(config)) * sizeof(float));
}

}  // namespace
}  // namespace paligemma
