// launch({grid, block, shared_bytes, stream}, kernel, arguments...) is CUDA's
// kernel<<<grid, block, shared_bytes, stream>>>(arguments...), and checked: a launch that is refused
// throws a CudaError that names its line. Arguments are converted to the kernel's parameters.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>

#include "cuda/core/stream.h"
#include "tensor/check.h"
#include "tensor/view.h"

namespace paligemma::cuda {

struct Launch {
  dim3 grid, block;
  std::size_t shared_bytes;
  StreamHandle stream;
  const char* file;
  unsigned line;

  Launch(dim3 g, dim3 b, std::size_t bytes, const Stream& s, const char* at = __builtin_FILE(),
         unsigned at_line = __builtin_LINE())
      : grid(g), block(b), shared_bytes(bytes), stream(s.handle()), file(at), line(at_line) {}
};

template <class... P>
void start_kernel(const Launch&, bool cooperative, void (*kernel)(P...), P... arguments);

template <class... P>
void launch(const Launch& to, void (*kernel)(P...), std::type_identity_t<P>... arguments) {
  start_kernel<P...>(to, false, kernel, arguments...);
}

// The same with all blocks there at once, so that they may wait for one another (grid_sync).
template <class... P>
void launch_cooperative(const Launch& to, void (*kernel)(P...),
                        std::type_identity_t<P>... arguments) {
  start_kernel<P...>(to, true, kernel, arguments...);
}

// How many blocks of `each` cover n things: a grid's first size.
inline unsigned blocks_for(Index n, Index each = 1) {
  const Index blocks = (n + each - 1) / each;
  PG_CHECK(0 < blocks && blocks <= 0x7fff'ffff, std::to_string(blocks) + " blocks");
  return static_cast<unsigned>(blocks);
}

}  // namespace paligemma::cuda
