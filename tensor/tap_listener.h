// A tap that hands out plain numbers of the host, whoever executes.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "tensor/buffer.h"
#include "tensor/tap.h"

namespace paligemma {

// Sees every tap, docs/taps.md.
using TapListener = std::function<void(const std::string& name, std::span<const float> numbers,
                                       std::span<const Index> shape)>;

template <class On>
struct TapForwarder {
  const On& on;
  const TapListener& listener;

  template <class T, int Rank, Space S>
  void operator()(const std::string& name, View<T, Rank, S> view) const {
    if constexpr (S == Space::device) {
      (*this)(name, to_host(on, view).view());
    } else {
      PG_CHECK(view.is_row_major(), name);
      listener(name, {view.data(), static_cast<std::size_t>(view.count())}, view.shape());
    }
  }
};

// Calls `run` with a tap for the listener, or with none if nobody listens.
template <class On, class Run>
auto with_tap(const On& on, const TapListener& listener, const Run& run) {
  if (!listener) return run(NoTap());
  TapForwarder<On> forward{on, listener};
  return run(Tap(forward));
}

}  // namespace paligemma
