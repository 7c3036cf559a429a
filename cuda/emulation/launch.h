// How a kernel is started under emulation: its arguments are copied, and it is called once for each
// thread. It has ended when this returns, unless a graph is being recorded.
#pragma once

#include <tuple>

#include "cuda/core/launch.h"
#include "cuda/emulation/recording.h"
#include "cuda/emulation/scheduler.h"

namespace paligemma::cuda {

template <class... P>
void start_kernel(const Launch& to, bool cooperative, void (*kernel)(P...), P... arguments) {
  using Call = std::tuple<void (*)(P...), P...>;
  const auto body = [](void* call) {
    const auto one_thread = [](auto function, auto... its) { function(its...); };
    std::apply(one_thread, *static_cast<Call*>(call));
  };
  const emulation::Site where{to.file, to.line};
  const emulation::Configuration configuration{to.grid, to.block, to.shared_bytes, cooperative,
                                               where};
  emulation::do_or_record([=, call = Call(kernel, arguments...)]() mutable {
    emulation::run(configuration, body, &call);
  });
}

}  // namespace paligemma::cuda
