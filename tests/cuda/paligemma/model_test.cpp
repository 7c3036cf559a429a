// The golden models with bf16 weights on a Stream, against the reference with the same roundings.
#include "cuda/paligemma/model.h"

#include <functional>
#include <utility>
#include <vector>

#include "paligemma/pipeline_definitions.h"
#include "tests/support/cuda_test.h"
#include "tests/support/golden.h"
#include "tests/support/logits.h"
#include "tests/support/rounded.h"
#include "tests/support/step_by_step.h"

namespace paligemma {
namespace {

using namespace test;

// A model with the golden weights as bf16, and its answer to the golden question.
template <class On>
class Bf16Model {
 public:
  Bf16Model(const Golden& golden, On on)
      : config_(read_config(golden.folder)),
        checkpoint_(golden.folder, config_),
        model_(placed(std::move(on))),
        prefix_(static_cast<Index>(golden.prompt_ids.size())),
        session_(config_.text, prefix_, prefix_ + static_cast<Index>(golden.generated_ids.size())) {
  }

  void read(const Golden& golden, const TapListener& listener) {
    const auto pixels = pixels_of(golden, config_);
    BufferOn<On, float, 3> there(pixels.view().shape());
    copy_from_host(model_.on, pixels.view(), there.view());
    with_tap(model_.on, listener, [&](const auto& tap) {
      siglip::EncoderScratch<On> scratch(model_.vision);
      const auto rows = encode_image(model_, std::as_const(there).view(), scratch, tap);
      forward(model_, golden.prompt_ids, rows.view(), prefix_, session_, tap);
    });
  }
  Choice next(TokenId id, Index step) { return decode(model_, id, prefix_, session_, {}, step); }

  Index layers() const { return model_.text.layers; }
  const On& on() const { return model_.on; }
  Session<On>& session() { return session_; }

 private:
  Model<On, WeightsOn<On, bf16>> placed(On on) {
    auto weights = place_weights<bf16>(on, checkpoint_, config_, {});
    return {std::move(on),
            config_.vision,
            config_.text,
            config_.image_token,
            std::move(weights.weights),
            std::move(weights.memory)};
  }

  Config config_;
  Checkpoint checkpoint_;
  Model<On, WeightsOn<On, bf16>> model_;
  Index prefix_;
  Session<On> session_;
};

void copy_to_host(const cuda::Stream& stream, DeviceView<const float, 3> from, View<float, 3> to) {
  const auto here = to_host(stream, from);
  copy_from_host(reference, here.view(), to);
}

std::vector<float> numbers_of(View<const float, 2> view) {
  return {view.data(), view.data() + view.count()};
}

class CudaModelOf : public CudaTest, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(PaliGemma, CudaModelOf, ::testing::Values(1, 2));

TEST_P(CudaModelOf, RoundsWhatItSaysAndNothingElse) {
  const Golden golden(GetParam());
  Bf16Model<Rounded> expected(golden, kRoundedAsCuda);
  Bf16Model<cuda::Stream> actual(golden, cuda::Stream());
  Recorder recorder;
  actual.read(golden, std::ref(recorder));
  StepByStep steps(StepByStep::kInBf16);
  steps.compare_with(recorder.taps);
  expected.read(golden, std::ref(steps));
  steps.expect_each_step_exact_once();
}

// Both have the same keys and values, and are told the recorded tokens: only sums in another order move the
// logits. Wherever the reference is surer than that, which is nearly everywhere, the token is the same.
TEST_P(CudaModelOf, ADecodedTokenRoundsNothing) {
  const Golden golden(GetParam());
  Bf16Model<Reference> expected(golden, reference);
  Bf16Model<cuda::Stream> actual(golden, cuda::Stream());
  actual.read(golden, {});
  expected.read(golden, {});
  for (Index layer = 0; layer < expected.layers(); ++layer) {
    auto& here = expected.session().cache;
    auto& there = actual.session().cache;
    const SequenceId id = expected.session().sequence, id_there = actual.session().sequence;
    copy_to_host(actual.on(), there.keys(id_there, layer), here.keys(id, layer));
    copy_to_host(actual.on(), there.values(id_there, layer), here.values(id, layer));
  }

  const auto steps = static_cast<Index>(golden.generated_ids.size());
  Index sure = 0;
  for (Index step = 1; step < steps; ++step) {
    const TokenId id = golden.generated_ids[step - 1];
    const Choice want = expected.next(id, step), got = actual.next(id, step);
    const auto row = numbers_of(expected.session().scratch.logits.view());
    const auto logits = to_host(actual.on(), actual.session().scratch.logits.view());
    // As the reference may differ from transformers (docs/numerics.md).
    const double allowed = 1e-4 * largest_magnitude(row);
    EXPECT_LE(largest_difference(numbers_of(logits.view()), row), allowed) << "step " << step;
    if (lead(row) <= 2 * allowed) continue;
    EXPECT_EQ(got.id, want.id) << "step " << step << ", lead " << lead(row);
    ++sure;
  }
  EXPECT_GE(sure, steps - 3);
}

}  // namespace
}  // namespace paligemma
