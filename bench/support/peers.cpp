#include "bench/support/peers.h"

#include <string>

#include "bench/support/products.h"
#include "bench/support/roof.h"
#include "tests/support/data.h"

#if defined(PG_OPENBLAS)
#include <cblas.h>
#endif
#if defined(PG_ONEDNN)
#include <oneapi/dnnl/dnnl.hpp>
#endif

namespace paligemma::bench {
namespace {

template <class Product>
void multiply(benchmark::State& state, Index bytes_per_weight, const Product& product) {
  for (auto _ : state) {
    product();
    benchmark::ClobberMemory();
  }
  const Index T = state.range(0), I = state.range(1), O = state.range(2);
  count_bytes(state, T * (I + O) * 4 + O * I * bytes_per_weight);
  count_flops(state, 2.0 * static_cast<double>(T) * static_cast<double>(I * O),
              bytes_per_weight == 2 ? &Limits::bf16 : &Limits::f32);
}

#if defined(PG_OPENBLAS)
void openblas(benchmark::State& state) {
  const Index T = state.range(0), I = state.range(1), O = state.range(2);
  const auto x = test::random<float, 2>({T, I}, 1), weight = test::random<float, 2>({O, I}, 2);
  Buffer<float, 2> y({T, O});
  const auto t = static_cast<int>(T), i = static_cast<int>(I), o = static_cast<int>(O);
  multiply(state, 4, [&] {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, t, o, i, 1, x.view().data(), i,
                weight.view().data(), i, 0, y.view().data(), o);
  });
}
#endif

#if defined(PG_ONEDNN)
// Weights as a checkpoint has them, not in oneDNN's own layout: it may turn them on the way, as we do.
template <class Weight>
void onednn(benchmark::State& state) {
  using dnnl::memory;
  const Index T = state.range(0), I = state.range(1), O = state.range(2);
  const auto type = sizeof(Weight) == 2 ? memory::data_type::bf16 : memory::data_type::f32;
  auto x = test::random<Weight, 2>({T, I}, 1), weight = test::random<Weight, 2>({O, I}, 2);
  Buffer<float, 2> y({T, O});
  try {
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    dnnl::stream stream(engine);
    const memory::desc x_desc({T, I}, type, memory::format_tag::ab);
    const memory::desc weight_desc({I, O}, type, memory::format_tag::ba);
    const memory::desc y_desc({T, O}, memory::data_type::f32, memory::format_tag::ab);
    const dnnl::matmul::primitive_desc chosen(dnnl::matmul::desc(x_desc, weight_desc, y_desc),
                                              engine);
    const dnnl::matmul product(chosen);
    memory from(x_desc, engine, x.view().data()), by(weight_desc, engine, weight.view().data()),
        to(y_desc, engine, y.view().data());
    multiply(state, sizeof(Weight), [&] {
      product.execute(stream, {{DNNL_ARG_SRC, from}, {DNNL_ARG_WEIGHTS, by}, {DNNL_ARG_DST, to}});
      stream.wait();
    });
  } catch (const dnnl::error& error) {
    state.SkipWithError(error.what());
  }
}
#endif

template <class Function>
void add(const char* piece, const char* version, const Function& function) {
  shapes(benchmark::RegisterBenchmark((std::string(piece) + version).c_str(), function));
}

}  // namespace

void add_product_yardsticks([[maybe_unused]] const char* piece) {
#if defined(PG_OPENBLAS)
  add(piece, "/openblas/f32", openblas);
#endif
#if defined(PG_ONEDNN)
  add(piece, "/onednn/f32", onednn<float>);
  add(piece, "/onednn/bf16", onednn<bf16>);
#endif
}

}  // namespace paligemma::bench
