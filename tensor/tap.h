// Taps: every intermediate that a paper names has a stable name (docs/taps.md), and whoever wants to
// see it passes a tap. The name is built only if somebody looks.
//
//   tap("sa", y);                      hands y to the listener as "img/encoder/block03/sa"
//   tap.in("encoder").block(3)         a tap whose names begin with "img/encoder/block03/"
#pragma once

#include <string>
#include <string_view>

#include "tensor/view.h"

namespace paligemma {

// Nobody looks: costs nothing.
struct NoTap {
  void operator()(std::string_view, const auto&) const {}
  NoTap in(std::string_view) const { return {}; }
  NoTap block(Index) const { return {}; }
};

// Hands name and view to `listener(const std::string&, view)`.
template <class Listener>
class Tap {
 public:
  explicit Tap(Listener& listener, std::string prefix = "")
      : listener_(&listener), prefix_(std::move(prefix)) {}

  void operator()(std::string_view name, const auto& view) const {
    (*listener_)(prefix_ + std::string(name), view);
  }

  Tap in(std::string_view name) const { return Tap(*listener_, prefix_ + std::string(name) + "/"); }

  Tap block(Index i) const { return in((i < 10 ? "block0" : "block") + std::to_string(i)); }

 private:
  Listener* listener_;
  std::string prefix_;
};

}  // namespace paligemma
