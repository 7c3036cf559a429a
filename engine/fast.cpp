#include "engine/any_zeta.h"
#include "engine/pipeline_on.h"
#include "fast/colpali/max_sim.h"
#include "fast/paligemma/model.h"
#include "fast/paligemma/pipeline.h"
#include "fast/zeta/pipeline.h"

namespace paligemma {
namespace {

class FastPipeline final : public PipelineOn<Fast> {
 public:
  FastPipeline(Pipeline<Fast> pipeline, const Kernels* kernels)
      : PipelineOn(std::move(pipeline)), kernels_(kernels) {}

  void max_sim(View<const float, 2> q, View<const float, 2> rows, View<const Index, 1> first,
               View<float, 1> scores) const override {
    pipeline().with_model(
        [&](const auto& model, auto&) { paligemma::max_sim(model.on, q, rows, first, scores); });
  }

  std::unique_ptr<const AnyPipeline> for_one_thread() const override {
    return std::make_unique<const FastPipeline>(
        pipeline().with(Fast({.kernels = kernels_, .threads = 1})), kernels_);
  }

 private:
  const Kernels* kernels_;
};

}  // namespace

std::unique_ptr<const AnyPipeline> open_fast(const Kernels* kernels, int threads,
                                             const PipelineOptions& options) {
  const Fast fast({.kernels = kernels, .threads = threads});
  return std::make_unique<const FastPipeline>(Pipeline<Fast>(fast, options), kernels);
}

std::unique_ptr<zeta::Pipeline> open_zeta_fast(const Kernels* kernels, int threads,
                                               const zeta::PipelineOptions& options) {
  return zeta::open_pipeline(Fast({.kernels = kernels, .threads = threads}), options);
}

}  // namespace paligemma
