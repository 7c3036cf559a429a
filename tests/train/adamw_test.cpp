#include "train/adamw.h"

#include <cmath>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/optimizer_golden.h"
#include "tests/support/training_golden.h"
#include "train/clip_by_norm.h"
#include "train/parameters.h"

namespace paligemma {
namespace {

using namespace test;

// docs/train/adamw.md, "By hand": the first step is the learning rate long, whatever the gradient's size.
TEST(AdamW, WorkedExample) {
  const auto g = rows_of({{3, -0.001, 0}});
  auto w = rows_of({{1, 1, 1}});
  Buffer<float, 2> m({1, 3}), v({1, 3});
  adamw(reference, {}, 0.1, 0, 1, g.view(), {m.view(), v.view()}, w.view());
  EXPECT_TRUE(close(w.view(), rows_of({{0.9, 1.099999, 1}}).view(), float_operations(8)));
  EXPECT_TRUE(close(m.view(), rows_of({{0.3, -0.0001, 0}}).view(), float_operations(4)));
  EXPECT_TRUE(close(v.view(), rows_of({{0.009, 1e-9, 0}}).view(), float_operations(4)));
}

TEST(AdamW, MovesAsTorchs) {
  expect_steps_of("adamw", {0, 2e-6}, [](auto g, auto m, auto v, auto w, Index step) {
    adamw(reference, {0.9, 0.95, 1e-6}, 0.05, 0.1, step, g, {m, v}, w);
  });
}

TEST(AdamW, DecaysWithoutAGradient) {
  const Buffer<float, 2> g({1, 1});
  auto w = rows_of({{2}});
  Buffer<float, 2> m({1, 1}), v({1, 1});
  adamw(reference, {}, 0.5, 0.1, 1, g.view(), {m.view(), v.view()}, w.view());
  EXPECT_TRUE(close(w.view(), rows_of({{1.9}}).view(), float_operations(2)));
}

// Six steps of a whole model, two examples each: transformers' losses, and the norms of its gradients. In float32 it
// says the same to 2.2e-4 itself; attention peaks in these checkpoints, so roundings grow.
class AdamWOf : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Golden, AdamWOf, ::testing::Values(1, 2));

TEST_P(AdamWOf, LearnsAsTransformers) {
  TrainingGolden golden(GetParam());
  Parameters parameters(golden.checkpoint, golden.config, [](const std::string&) { return true; });
  const Model<Reference, HostWeights<float>> model{reference, golden.config.vision,
                                                   golden.config.text, golden.config.image_token,
                                                   parameters.weights()};
  std::vector<Buffer<float, 2>> m, v;
  std::vector<View<float, 2>> all;
  for (Parameter& parameter : parameters.all()) {
    m.emplace_back(parameter.value.view().shape());
    v.emplace_back(parameter.value.view().shape());
    all.push_back(parameter.gradient.view());
  }
  for (Index step = 1; step <= static_cast<Index>(golden.losses.size()); ++step) {
    const auto i = static_cast<std::size_t>(step - 1);
    parameters.zero();
    const double loss = gradients(reference, model, golden.batch({2 * i % 4, (2 * i + 1) % 4}), {},
                                  parameters.gradients());
    EXPECT_NEAR(loss, golden.losses[i], 1e-3 * golden.losses[i]) << "step " << step;
    EXPECT_NEAR(global_norm(reference, all), golden.grad_norms[i], 1e-3 * golden.grad_norms[i])
        << "step " << step;
    for (std::size_t p = 0; p < all.size(); ++p) {
      Parameter& parameter = parameters.all()[p];
      adamw(reference, {}, 1e-4, 0.01, step, std::as_const(parameter.gradient).view(),
            {m[p].view(), v[p].view()}, parameter.value.view());
    }
  }
}

TEST(AdamW, RejectsWrongShapesAndSteps) {
  const Buffer<float, 2> g({2, 3}), few_g({1, 3});
  Buffer<float, 2> a({2, 3}), few({1, 3});
  const auto run = [](const Buffer<float, 2>& g_, Buffer<float, 2>& m, Buffer<float, 2>& v,
                      Buffer<float, 2>& w, Index step) {
    adamw(reference, {}, 0.1, 0, step, g_.view(), {m.view(), v.view()}, w.view());
  };
  Buffer<float, 2> w({2, 3});
  EXPECT_NO_THROW(run(g, a, a, w, 1));
  EXPECT_THROW(run(few_g, a, a, w, 1), ContractError);
  EXPECT_THROW(run(g, few, a, w, 1), ContractError);
  EXPECT_THROW(run(g, a, few, w, 1), ContractError);
  EXPECT_THROW(run(g, a, a, w, 0), ContractError);
}

}  // namespace
}  // namespace paligemma
