#include "cuda/paligemma/pipeline.h"

#include "cuda/paligemma/model.h"
#include "paligemma/pipeline_definitions.h"

namespace paligemma {

// Not the class, for which clang 14 would make with() too, which asks for an executor that can be copied.
template Pipeline<cuda::Stream>::Files::Files(const PipelineOptions&);
template Pipeline<cuda::Stream>::Pipeline(cuda::Stream, const PipelineOptions&);
template WeightFormat Pipeline<cuda::Stream>::dtype() const;
template auto Pipeline<cuda::Stream>::encode(View<const std::uint8_t, 3>, const TapListener&) const
    -> Picture;
template auto Pipeline<cuda::Stream>::encode_pixels(View<const float, 3>, const TapListener&) const
    -> Picture;
template siglip::Pool Pipeline<cuda::Stream>::default_pool() const;
template Buffer<float, 2> Pipeline<cuda::Stream>::embed(View<const std::uint8_t, 3>,
                                                        const EmbeddingRule&,
                                                        const TapListener&) const;
template Buffer<float, 2> Pipeline<cuda::Stream>::embed_pixels(View<const float, 3>,
                                                               const EmbeddingRule&,
                                                               const TapListener&) const;
template auto Pipeline<cuda::Stream>::together(std::span<const Picture* const>) const -> Picture;
template std::pair<Reply, GenerateOptions> Pipeline<cuda::Stream>::begun(const Picture&,
                                                                         std::string_view,
                                                                         const ReplyOptions&) const;
template void Pipeline<cuda::Stream>::generate_all(Index, const NextRequest&) const;
template Reply Pipeline<cuda::Stream>::written(const Picture&, Reply, const GenerateOptions&,
                                               const ReplyOptions&, const TapListener&) const;
template Reply Pipeline<cuda::Stream>::searched(const Picture&, Reply, const GenerateOptions&,
                                                const ReplyOptions&, const TapListener&) const;
template Reply Pipeline<cuda::Stream>::generate(const Picture&, std::string_view,
                                                const ReplyOptions&, const TapListener&) const;

}  // namespace paligemma
