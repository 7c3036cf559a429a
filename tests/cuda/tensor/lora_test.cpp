// Adapters on a stream: linear layers that have one, with every epilogue.
#include "cuda/tensor/lora.h"

#include <list>
#include <optional>

#include "cuda/tensor/linear.h"
#include "tests/support/cuda_test.h"
#include "tests/support/epilogues.h"
#include "tests/support/lora.h"

namespace paligemma {
namespace {

using namespace test;

class CudaLora : public CudaTest {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (!IsSkipped()) stream_.emplace();
  }
  const cuda::Stream& stream() const { return *stream_; }

  Lora<cuda::DeviceWeights<float>> there(const Lora<HostWeights<float>>& host) {
    const auto matrix = [&](View<const float, 2> m) {
      return std::as_const(matrices_.emplace_back(to_device(stream(), m))).view();
    };
    const auto vector = [&](View<const float, 1> v) -> DeviceView<const float, 1> {
      if (v.data() == nullptr) return {};
      return std::as_const(vectors_.emplace_back(to_device(stream(), v))).view();
    };
    return {matrix(host.a), matrix(host.b), vector(host.magnitude), vector(host.bias)};
  }

  // Within what a GELU makes of errors of sums of I products, as in tests/fast/tensor/linear_test.cpp. Nothing is
  // rounded: weights are floats.
  void expect_matches_reference(Index T, Index O, Index I) {
    SCOPED_TRACE("T = " + std::to_string(T));
    const auto x = random<float, 2>({T, I}, 1), before = random<float, 2>({T, O}, 2);
    const auto weight = random<float, 2>({O, I}, 3), gate = random<float, 2>({O, I}, 4);
    const RandomLora one(O, I, 2, 10), other(O, I, 3, 20);
    const auto lora = one.whole(), gate_lora = other.plain();
    const auto lora_there = there(lora), gate_lora_there = there(gate_lora);
    const auto x_there = to_device(stream(), x.view()),
               weight_there = to_device(stream(), weight.view()),
               gate_there = to_device(stream(), gate.view());
    const Linear<HostWeights<float>> layers[] = {{weight.view()}, {weight.view(), {}, &lora}};
    const Linear<HostWeights<float>> gates[] = {{gate.view()}, {gate.view(), {}, &gate_lora}};
    using There = Linear<cuda::DeviceWeights<float>>;
    const There layers_there[] = {{weight_there.view()}, {weight_there.view(), {}, &lora_there}};
    const There gates_there[] = {{gate_there.view()}, {gate_there.view(), {}, &gate_lora_there}};
    const auto epilogues = every_epilogue(gates);
    const auto epilogues_there = every_epilogue(gates_there);
    const double magnitude = static_cast<double>(I);
    const Tolerance tolerance{float_operations(20).relative,
                              46 * twice(float_sum_of(I, magnitude)).absolute};
    for (std::size_t l = 0; l < 2; ++l) {
      for (std::size_t e = 0; e < epilogues.size(); ++e) {
        Buffer<float, 2> expected({T, O});
        copy(reference, before.view(), expected.view());
        linear(reference, x.view(), layers[l], expected.view(), epilogues[e]);
        auto y_there = to_device(stream(), before.view());
        linear(stream(), x_there.view(), layers_there[l], y_there.view(), epilogues_there[e]);
        const auto y = to_host(stream(), y_there.view());
        EXPECT_TRUE(close(y.view(), expected.view(), tolerance)) << l << ", " << e;
      }
    }
  }

 private:
  std::optional<cuda::Stream> stream_;
  std::list<cuda::DeviceBuffer<float, 2>> matrices_;
  std::list<cuda::DeviceBuffer<float, 1>> vectors_;
};

TEST_F(CudaLora, ComesBeforeEveryEpilogue) {
  for (const Index T : {1, 3, 20}) expect_matches_reference(T, 33, 40);
}

TEST_F(CudaLora, HasTheBiasOfItsLayer) {
  const RandomLora random_lora(1, 2, 1, 1);
  const auto change = there(random_lora.whole());
  const cuda::DeviceBuffer<float, 2> x({1, 2}), weight({1, 2});
  const cuda::DeviceBuffer<float, 1> bias({1});
  cuda::DeviceBuffer<float, 2> y({1, 1});
  EXPECT_THROW(
      linear(stream(), x.view(),
             Linear<cuda::DeviceWeights<float>>{weight.view(), bias.view(), &change}, y.view()),
      ContractError);
}

}  // namespace
}  // namespace paligemma
