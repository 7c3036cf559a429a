#include "cuda/core/device.h"
#include "cuda/paligemma/pipeline.h"
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
