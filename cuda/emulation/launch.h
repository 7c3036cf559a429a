// How a kernel is started under emulation: its arguments are copied, and it is called once for each
// thread. It has ended when this returns.
#pragma once

#include <tuple>

#include "cuda/core/launch.h"
#include "cuda/emulation/scheduler.h"

namespace paligemma::cuda {

template <class... P>
void start_kernel(const Launch& to, bool cooperative, void (*kernel)(P...), P... arguments) {
  std::tuple<void (*)(P...), P...> call(kernel, arguments...);
  const auto body = [](void* c) {
    const auto one_thread = [](auto function, auto... its) { function(its...); };
    std::apply(one_thread, *static_cast<decltype(call)*>(c));
  };
  const emulation::Site where{to.file, to.line};
  emulation::run({to.grid, to.block, to.shared_bytes, cooperative, where}, body, &call);
}

}  // namespace paligemma::cuda
