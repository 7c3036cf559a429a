// Copies of numbers that a file has in another order (stored_order.h).
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "paligemma/stored_order.h"
#include "tensor/numbers.h"

namespace paligemma {

// Number i of those at `bytes`, which need not be aligned.
template <class Stored>
Stored number_at(const std::byte* bytes, Index i) {
  Stored number;
  std::memcpy(&number, bytes + i * Index{sizeof number}, sizeof number);
  return number;
}

template <class Real, class Stored>
Real converted(Stored number) {
  if constexpr (std::same_as<Real, Stored>) {
    return number;
  } else {
    return narrow<Real>(widen(number));
  }
}

inline constexpr Index kEdge = 8;  // of a block that is turned in registers

// Rows become columns: interleaved three times, with the row four further on, each number is in its place.
template <class Real>
void turn(Real (&block)[kEdge][kEdge]) {
  using Bits = std::conditional_t<sizeof(Real) == 2, std::uint16_t, std::uint32_t>;
  using Row [[gnu::vector_size(kEdge * sizeof(Bits))]] = Bits;
  Row rows[kEdge], next[kEdge];
  static_assert(sizeof rows == sizeof block);
  std::memcpy(rows, block, sizeof block);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 4; ++i) {
      next[2 * i] = __builtin_shufflevector(rows[i], rows[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      next[2 * i + 1] = __builtin_shufflevector(rows[i], rows[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    std::copy(next, next + kEdge, rows);
  }
  std::memcpy(block, rows, sizeof block);
}

// All numbers in our order, rounded to `Real`, by all threads. Squares of 64, so that neither side leaves the
// cache before its next line needs it; each thread reads its part of the file from the beginning to the end.
template <class Stored, class Real>
void copy_numbers(const std::byte* bytes, const StoredOrder& order, Real* out) {
  constexpr Index kSquare = 64;
  const Index A = order.sizes[0], B = order.sizes[1], C = order.sizes[2];
  const Index step_a = order.steps[0], step_b = order.steps[1], step_c = order.steps[2];
  const auto number = [&](Index a, Index b, Index c) {
    return converted<Real>(number_at<Stored>(bytes, a * step_a + b * step_b + c * step_c));
  };
  const auto copy_block = [&](Index a, Index b0, Index c0) {
    if (step_b == 1 && b0 + kEdge <= B && c0 + kEdge <= C) {
      Real block[kEdge][kEdge];
      for (Index c = 0; c < kEdge; ++c) {
        for (Index b = 0; b < kEdge; ++b) {
          block[c][b] = converted<Real>(number_at<Stored>(
              bytes + (a * step_a + b0 + (c0 + c) * step_c) * Index{sizeof(Stored)}, b));
        }
      }
      turn(block);
      for (Index b = 0; b < kEdge; ++b) {
        std::copy_n(block[b], kEdge, out + (a * B + b0 + b) * C + c0);
      }
      return;
    }
    for (Index b = b0; b < std::min(B, b0 + kEdge); ++b) {
      for (Index c = c0; c < std::min(C, c0 + kEdge); ++c) {
        out[(a * B + b) * C + c] = number(a, b, c);
      }
    }
  };
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (Index a = 0; a < A; ++a) {
    for (Index c0 = 0; c0 < C; c0 += kSquare) {
      for (Index b0 = 0; b0 < B; b0 += kSquare) {
        for (Index b = b0; b < std::min(B, b0 + kSquare); b += kEdge) {
          for (Index c = c0; c < std::min(C, c0 + kSquare); c += kEdge) copy_block(a, b, c);
        }
      }
    }
  }
}

}  // namespace paligemma
