// Every epilogue that a linear layer may have.
#pragma once

#include <vector>

#include "tensor/linear.h"

namespace paligemma::test {

// With each of the gates, and with none.
template <class W, int Gates>
std::vector<Epilogue<W>> every_epilogue(const Linear<W> (&gates)[Gates]) {
  std::vector<Epilogue<W>> all;
  for (const bool add : {false, true}) {
    all.push_back({.add = add});
    for (const GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
      all.push_back({.activation = form, .add = add});
      for (const Linear<W>& gate : gates) {
        all.push_back({.activation = form, .gate = &gate, .add = add});
      }
    }
  }
  return all;
}

}  // namespace paligemma::test
