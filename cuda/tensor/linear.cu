#include "cuda/tensor/linear.h"
#include "cuda/tensor/linear/choice.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;

// Kernel 1, thread_per_output. Thread o of row t walks a row of x and a row of weights. The threads of
// a warp share the token and read 32 rows of weights, I numbers apart.
template <class Weight>
__global__ void linear_thread_per_output(Product<Weight> p) {
  const Index o = Index{blockIdx.x} * kThreads + threadIdx.x, t = blockIdx.y;
  if (o >= p.O) return;
  const float* x = p.x + t * p.I;
  const Weight* weight = p.weight + o * p.I;
  float sum = 0.0f;
  for (int i = 0; i < p.I; ++i) sum += x[i] * widen(weight[i]);
  p.epilogue(t, o, sum);
}

template <class Weight>
void multiply(const Stream& stream, DeviceView<const float, 2> x,
              DeviceView<const Weight, 2> weight, const Weight* bias, Ending ending,
              DeviceView<float, 2> y, LinearKernel kernel) {
  const auto sizes = [&] {
    return "x " + shape_text(x) + ", weight " + shape_text(weight) + ", y " + shape_text(y);
  };
  PG_CHECK(weight.size(1) == x.size(1) && y.size(0) == x.size(0) && y.size(1) == weight.size(0),
           sizes());
  PG_CHECK(x.is_row_major() && weight.is_row_major() && y.stride()[1] == 1, "strided view");
  if (y.count() == 0) return;

  const Product<Weight> product{x.data(),
                                weight.data(),
                                x.size(0),
                                weight.size(0),
                                static_cast<int>(x.size(1)),
                                {bias, ending, y.data(), y.stride()[0]}};
  if (kernel == LinearKernel::best) kernel = best_kernel(stream, product);
  switch (kernel) {
    case LinearKernel::thread_per_output:
      return launch(
          {dim3(blocks_for(product.O, kThreads), blocks_for(product.T)), kThreads, 0, stream},
          linear_thread_per_output<Weight>, product);
    case LinearKernel::tiled:
      return linear_tiled(stream, product);
    case LinearKernel::warp_per_output:
      return linear_warp_per_output(stream, product);
    case LinearKernel::tensor_core:
    case LinearKernel::warpgroup:
      PG_CHECK(may_use_tensor_cores(product), "tensor cores want packs of bf16: " + sizes());
      return on_tensor_cores(stream, product, kernel);
    case LinearKernel::best:
      break;  // replaced above
  }
}

template <class Weight>
const Weight* checked_bias(DeviceView<const Weight, 1> bias, DeviceView<const Weight, 2> weight) {
  PG_CHECK(bias.size(0) == weight.size(0) && bias.is_row_major(),
           "weight " + shape_text(weight) + ", bias " + shape_text(bias));
  return bias.data();
}

}  // namespace

template <class Weight>
void linear(const Stream& stream, DeviceView<const float, 2> x, DeviceView<const Weight, 2> weight,
            DeviceView<float, 2> y, LinearKernel kernel) {
  multiply<Weight>(stream, x, weight, nullptr, Ending::store, y, kernel);
}

template <class Weight>
void linear(const Stream& stream, DeviceView<const float, 2> x, DeviceView<const Weight, 2> weight,
            DeviceView<const Weight, 1> bias, DeviceView<float, 2> y, LinearKernel kernel) {
  multiply(stream, x, weight, checked_bias(bias, weight), Ending::store, y, kernel);
}

template <class Weight>
void linear_gelu(const Stream& stream, DeviceView<const float, 2> x,
                 DeviceView<const Weight, 2> weight, DeviceView<const Weight, 1> bias,
                 GeluForm form, DeviceView<float, 2> y, LinearKernel kernel) {
  const Ending ending = form == GeluForm::tanh ? Ending::gelu_tanh : Ending::gelu_exact;
  multiply(stream, x, weight, checked_bias(bias, weight), ending, y, kernel);
}

template <class Weight>
void linear_add(const Stream& stream, DeviceView<const float, 2> x,
                DeviceView<const Weight, 2> weight, DeviceView<float, 2> y, LinearKernel kernel) {
  multiply<Weight>(stream, x, weight, nullptr, Ending::add, y, kernel);
}

template <class Weight>
void linear_add(const Stream& stream, DeviceView<const float, 2> x,
                DeviceView<const Weight, 2> weight, DeviceView<const Weight, 1> bias,
                DeviceView<float, 2> y, LinearKernel kernel) {
  multiply(stream, x, weight, checked_bias(bias, weight), Ending::add, y, kernel);
}

#define PG_LINEAR_OF(Weight)                                                                       \
  template void linear(const Stream&, DeviceView<const float, 2>, DeviceView<const Weight, 2>,     \
                       DeviceView<float, 2>, LinearKernel);                                        \
  template void linear(const Stream&, DeviceView<const float, 2>, DeviceView<const Weight, 2>,     \
                       DeviceView<const Weight, 1>, DeviceView<float, 2>, LinearKernel);           \
  template void linear_gelu(const Stream&, DeviceView<const float, 2>,                             \
                            DeviceView<const Weight, 2>, DeviceView<const Weight, 1>, GeluForm,    \
                            DeviceView<float, 2>, LinearKernel);                                   \
  template void linear_add(const Stream&, DeviceView<const float, 2>, DeviceView<const Weight, 2>, \
                           DeviceView<float, 2>, LinearKernel);                                    \
  template void linear_add(const Stream&, DeviceView<const float, 2>, DeviceView<const Weight, 2>, \
                           DeviceView<const Weight, 1>, DeviceView<float, 2>, LinearKernel);
PG_LINEAR_OF(float)
PG_LINEAR_OF(bf16)
PG_LINEAR_OF(f16)
#undef PG_LINEAR_OF

}  // namespace paligemma::cuda
