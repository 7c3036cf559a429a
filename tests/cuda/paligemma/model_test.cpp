// What rounding activations to bf16 does to the logits of the golden models.
#include "cuda/paligemma/model.h"

#include <cmath>
#include <cstdio>

#include "cuda/paligemma/pipeline.h"
#include "tests/support/cuda_test.h"
#include "tests/support/golden.h"
#include "tests/support/logits.h"

namespace paligemma {
namespace {

using namespace test;

template <class T>
std::vector<float> numbers_of(View<T, 2> view) {
  return {view.data(), view.data() + view.count()};
}

class CudaModelOf : public CudaTest, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(PaliGemma, CudaModelOf, ::testing::Values(1, 2));

// What bf16 activations may change: logits differ by at most this part of the largest. Each product
// rounds its inputs by up to 2^-8 of themselves. The golden models are random and their attention is sharp, so
// that every block of the decoder makes of an error one that is up to half as large again: 0.5 % behind
// the vision tower, 1.5 % behind the first block, 2 to 8 % of the row's size behind the last. The worst
// logit seen is off by 9 %; the order of sums, which a GPU chooses for itself, moves that.
constexpr double kBf16LogitError = 0.15;

// A model with the golden weights as bf16, and the picture as it sees it.
template <class On>
struct Bf16Model {
  Config config;
  Checkpoint checkpoint;
  Pipeline<On> pipeline;
  typename Pipeline<On>::Picture picture;
  Model<On, WeightsOn<On, bf16>> model;

  explicit Bf16Model(const Golden& golden)
      : config(read_config(golden.folder)),
        checkpoint(golden.folder, config),
        pipeline(On(), {.model = golden.folder, .dtype = WeightFormat::bf16}),
        picture(pipeline.encode(read_image(golden.folder / "picture.png").view())),
        model(placed()) {}

 private:
  Model<On, WeightsOn<On, bf16>> placed() {
    On on;
    auto weights = place_weights<bf16>(on, checkpoint, config, {});
    return {std::move(on), config.vision, config.text, std::move(weights.weights),
            std::move(weights.memory)};
  }
};

// The reference has the same bf16 weights and rounds nothing else. Both are told the recorded tokens.
// Wherever the reference is surer than the error, the token is the same.
TEST_P(CudaModelOf, RoundingToBf16ChangesOnlyCloseTokens) {
  const Golden golden(GetParam());
  const Bf16Model<Reference> expected(golden);
  const Bf16Model<cuda::Stream> actual(golden);
  const auto T = static_cast<Index>(golden.prompt_ids.size());
  const auto steps = static_cast<Index>(golden.generated_ids.size());
  Session<Reference> there(expected.model.text, T, T + steps);
  Session<cuda::Stream> here(actual.model.text, T, T + steps);
  forward(expected.model, golden.prompt_ids, expected.picture.rows.view(), T, there, NoTap());
  forward(actual.model, golden.prompt_ids, actual.picture.rows.view(), T, here, NoTap());

  Index close = 0, same = 0;
  double worst = 0;
  for (Index step = 0; step < steps; ++step) {
    Choice want{}, got{};
    if (step == 0) {
      want = choose(expected.model, there, {}, step);
      got = choose(actual.model, here, {}, step);
    } else {
      const TokenId id = golden.generated_ids[static_cast<std::size_t>(step - 1)];
      want = decode(expected.model, id, T, there, {}, step);
      got = decode(actual.model, id, T, here, {}, step);
    }
    const auto row = numbers_of(there.scratch.logits.view());
    const auto logits = to_host(actual.model.on, here.scratch.logits.view());
    const double error = largest_difference(numbers_of(logits.view()), row);
    const double allowed = kBf16LogitError * largest_magnitude(row);
    worst = std::max(worst, error / largest_magnitude(row));
    EXPECT_LE(error, allowed) << "step " << step;
    const bool is_close = lead(row) <= 2 * allowed;
    EXPECT_TRUE(got.id == want.id || is_close) << "step " << step << ", lead " << lead(row);
    close += is_close;
    same += got.id == want.id;
  }
  std::printf(
      "[ bf16 ] %td of %td tokens the same, %td close; logits differ by up to %.3f of the "
      "largest\n",
      same, steps, close, worst);
}

}  // namespace
}  // namespace paligemma
