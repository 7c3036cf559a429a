// Test data: the same numbers on every machine and with every standard library.
#pragma once

#include <initializer_list>
#include <random>

#include "tensor/buffer.h"
#include "tensor/numbers.h"

namespace paligemma::test {

// Uniform in [-1, 1).
template <class Real, int Rank>
Buffer<Real, Rank> random(std::array<Index, Rank> shape, unsigned seed) {
  std::mt19937 bits(seed);
  Buffer<Real, Rank> buffer(shape);
  for (Index i = 0; i < buffer.view().count(); ++i) {
    const float in_0_2 = static_cast<float>(bits() >> 8) * 0x1p-23f;
    buffer.view().data()[i] = narrow<Real>(in_0_2 - 1.0f);
  }
  return buffer;
}

template <class Real = float>
Buffer<Real, 1> vector_of(std::initializer_list<double> values) {
  Buffer<Real, 1> buffer({static_cast<Index>(values.size())});
  Real* out = buffer.view().data();
  for (double v : values) *out++ = narrow<Real>(static_cast<float>(v));
  return buffer;
}

template <class Real = float>
Buffer<Real, 2> rows_of(std::initializer_list<std::initializer_list<double>> rows) {
  Buffer<Real, 2> buffer(
      {static_cast<Index>(rows.size()), static_cast<Index>(rows.begin()->size())});
  Real* out = buffer.view().data();
  for (const auto& row : rows) {
    for (double v : row) *out++ = narrow<Real>(static_cast<float>(v));
  }
  return buffer;
}

}  // namespace paligemma::test
