#include "colpali/max_sim.h"
#include "cuda/colpali/max_sim.h"
#include "cuda/core/device.h"
#include "cuda/paligemma/model.h"
#include "cuda/paligemma/pipeline.h"
#include "cuda/tensor/unit_rows.h"
#include "cuda/zeta/pipeline.h"
#include "engine/any_zeta.h"
#include "engine/pipeline_on.h"

namespace paligemma {
namespace {

class CudaPipeline final : public PipelineOn<cuda::Stream> {
 public:
  CudaPipeline(int device, Pipeline<cuda::Stream> pipeline)
      : PipelineOn(std::move(pipeline)), device_(device) {}

  // A thread has a GPU in use, and the caller may be another one than before.
  Picture encode(View<const std::uint8_t, 3> image, const TapListener& listener) const override {
    cuda::use_device(device_);
    return PipelineOn::encode(image, listener);
  }
  Picture encode_pixels(View<const float, 3> pixels, const TapListener& listener) const override {
    cuda::use_device(device_);
    return PipelineOn::encode_pixels(pixels, listener);
  }
  Buffer<float, 2> embed(View<const std::uint8_t, 3> image,
                         const EmbeddingRule& rule) const override {
    cuda::use_device(device_);
    return PipelineOn::embed(image, rule);
  }
  Buffer<float, 2> embed_pixels(View<const float, 3> pixels,
                                const EmbeddingRule& rule) const override {
    cuda::use_device(device_);
    return PipelineOn::embed_pixels(pixels, rule);
  }
  Buffer<float, 2> page_rows(View<const std::uint8_t, 3> image, const colpali::PromptForm& form,
                             const TapListener& listener) const override {
    cuda::use_device(device_);
    return PipelineOn::page_rows(image, form, listener);
  }
  Buffer<float, 2> query_rows(std::string_view text, const colpali::PromptForm& form,
                              const TapListener& listener) const override {
    cuda::use_device(device_);
    return PipelineOn::query_rows(text, form, listener);
  }
  void max_sim(View<const float, 2> q, View<const float, 2> rows, View<const Index, 1> first,
               View<float, 1> scores) const override {
    check_max_sim(q, rows, first, scores);
    cuda::use_device(device_);
    pipeline().with_model([&](const auto& model, auto&) {
      const auto q_there = to_device(model.on, q), rows_there = to_device(model.on, rows);
      const auto first_there = to_device(model.on, first);
      cuda::DeviceBuffer<float, 1> found(scores.shape());
      cuda::max_sim<float>(model.on, q_there.view(), rows_there.view(), first_there.view(),
                           found.view());
      const Buffer<float, 1> here = to_host(model.on, found.view());
      std::copy_n(here.view().data(), here.view().count(), scores.data());
    });
  }
  Reply generate(const Picture& picture, std::string_view prompt, const ReplyOptions& options,
                 const TapListener& listener) const override {
    cuda::use_device(device_);
    return PipelineOn::generate(picture, prompt, options, listener);
  }

  std::unique_ptr<const AnyPipeline> for_one_thread() const override { return nullptr; }

 private:
  int device_;
};

}  // namespace

bool has_cuda() { return true; }

std::unique_ptr<const AnyPipeline> open_cuda(int device, const PipelineOptions& options) {
  cuda::use_device(device);
  return std::make_unique<const CudaPipeline>(device,
                                              Pipeline<cuda::Stream>(cuda::Stream(), options));
}

std::unique_ptr<zeta::Pipeline> open_zeta_cuda(int device, const zeta::PipelineOptions& options) {
  cuda::use_device(device);
  return zeta::open_pipeline(cuda::Stream(), options);
}

}  // namespace paligemma
