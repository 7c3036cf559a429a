#include "colpali/max_sim.h"
#include "engine/any_zeta.h"
#include "engine/pipeline_on.h"

namespace paligemma {
namespace {

class ReferencePipeline final : public PipelineOn<Reference> {
 public:
  using PipelineOn::PipelineOn;

  void max_sim(View<const float, 2> q, View<const float, 2> rows, View<const Index, 1> first,
               View<float, 1> scores) const override {
    paligemma::max_sim(reference, q, rows, first, scores);
  }

  std::unique_ptr<const AnyPipeline> for_one_thread() const override {
    return std::make_unique<const ReferencePipeline>(pipeline().with(reference));
  }
};

}  // namespace

std::unique_ptr<const AnyPipeline> open_reference(const PipelineOptions& options) {
  return std::make_unique<const ReferencePipeline>(Pipeline<Reference>(reference, options));
}

std::unique_ptr<zeta::Pipeline> open_zeta_reference(const zeta::PipelineOptions& options) {
  return zeta::open_pipeline(reference, options);
}

}  // namespace paligemma
