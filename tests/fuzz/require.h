// What must hold whatever comes in. libFuzzer reports a trap with the input that led to it.
#pragma once

namespace paligemma::fuzz {

inline void require(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace paligemma::fuzz
