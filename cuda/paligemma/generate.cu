#include "cuda/core/gpu.h"
#include "cuda/paligemma/generate.h"

namespace paligemma::cuda {
namespace {

__global__ void generate_advance(const Sampled* sampled, TokenId* token, Index* position,
                                 std::uint64_t* step) {
  *token = sampled->id;
  ++*position;
  ++*step;
}

}  // namespace

void advance(const Stream& stream, DeviceView<const Sampled, 1> sampled,
             DeviceView<TokenId, 1> token, DeviceView<Index, 1> position,
             DeviceView<std::uint64_t, 1> step) {
  launch({1, 1, 0, stream}, generate_advance, sampled.data(), token.data(), position.data(),
         step.data());
}

}  // namespace paligemma::cuda
