// Scratch<T, Rank>: device memory for one operation, until the end of the scope. Scratches must end in the
// reverse order of their beginning, as local variables do.
//
//   const Scratch<bf16, 2> rounded(stream, {T, I});
//   launch(..., rounded.view().data());
#pragma once

#include "cuda/core/stream.h"
#include "tensor/view.h"

namespace paligemma::cuda {

template <class T, int Rank>
class Scratch {
 public:
  Scratch(const Stream& stream, typename DeviceView<T, Rank>::Shape shape)
      : arena_(stream.arena_), view_(nullptr, shape) {
    const auto bytes = static_cast<std::size_t>(view_.count()) * sizeof(T);
    view_ = {static_cast<T*>(arena_.take(bytes)), shape};
  }
  ~Scratch() { arena_.give_back(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  DeviceView<T, Rank> view() const { return view_; }

 private:
  Arena& arena_;
  DeviceView<T, Rank> view_;
};

}  // namespace paligemma::cuda
