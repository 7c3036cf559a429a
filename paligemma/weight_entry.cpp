#include "paligemma/weight_entry.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>

#include "paligemma/stored_order_copy.h"

namespace paligemma {

Index WeightEntry::count() const {
  return std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>());
}

std::size_t row_bytes(WeightFormat format, Index columns) {
  return with_format(format, [&]<class Real>(Real) {
    const Index count = Quantized<Real> ? blocks_of(columns) : columns;
    return static_cast<std::size_t>(count) * sizeof(Real);
  });
}

void read_row(const WeightEntry& entry, Index row, std::span<float> numbers) {
  const auto columns = static_cast<Index>(numbers.size());
  if (entry.order) {
    return with_format(entry.format, [&]<class Real>(Real) {
      if constexpr (!Quantized<Real>) {
        for (Index i = 0; i < columns; ++i) {
          const Index place = entry.order->place(row * columns + i);
          numbers[i] = widen(number_at<Real>(entry.bytes.data(), place));
        }
      }
    });
  }
  const std::byte* from =
      entry.bytes.data() + static_cast<std::size_t>(row) * row_bytes(entry.format, columns);
  with_format(entry.format, [&]<class Real>(Real stored) {
    if constexpr (Quantized<Real>) {
      float weights[kBlock];
      for (Index begin = 0; begin < columns; begin += kBlock, from += sizeof stored) {
        std::memcpy(&stored, from, sizeof stored);
        dequantize(stored, weights);
        std::copy_n(weights, std::min(kBlock, columns - begin), &numbers[begin]);
      }
    } else {
      for (float& number : numbers) {
        std::memcpy(&stored, from, sizeof stored);
        number = widen(stored);
        from += sizeof stored;
      }
    }
  });
}

std::vector<float> all_as_floats(const WeightEntry& entry) {
  std::vector<float> numbers(static_cast<std::size_t>(entry.count()));
  const auto columns =
      entry.shape.size() > 1 ? static_cast<std::size_t>(entry.columns()) : numbers.size();
  if (columns == 0) return numbers;
  for (std::size_t row = 0; row < numbers.size() / columns; ++row) {
    read_row(entry, static_cast<Index>(row), std::span(numbers).subspan(row * columns, columns));
  }
  return numbers;
}

void write_row(std::span<const float> numbers, WeightFormat format, std::byte* bytes) {
  const auto columns = static_cast<Index>(numbers.size());
  with_format(format, [&]<class Real>(Real) {
    if constexpr (Quantized<Real>) {
      for (Index begin = 0; begin < columns; begin += kBlock, bytes += sizeof(Real)) {
        const Real block = quantize<Real>(&numbers[begin], std::min(kBlock, columns - begin));
        std::memcpy(bytes, &block, sizeof block);
      }
    } else {
      for (const float number : numbers) {
        const Real stored = narrow<Real>(number);
        std::memcpy(bytes, &stored, sizeof stored);
        bytes += sizeof stored;
      }
    }
  });
}

}  // namespace paligemma
