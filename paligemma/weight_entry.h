// One tensor of a model as it lies in a file or in memory, whatever its weights are, and its rows as floats.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "paligemma/stored_order.h"
#include "tensor/view.h"
#include "tensor/weight_format.h"

namespace paligemma {

// Blocks, which a file calls u8 of another shape, are known as what they are.
struct WeightEntry {
  WeightFormat format;
  std::vector<Index> shape;  // the model's
  std::span<const std::byte> bytes;
  std::optional<StoredOrder> order = {};  // nothing where it is ours

  Index count() const;                                // of weights
  Index rows() const { return shape[0]; }             // the first axis
  Index columns() const { return count() / rows(); }  // all others
};

// `numbers` are a whole row; of a vector all of it, as row 0.
void read_row(const WeightEntry& entry, Index row, std::span<float> numbers);
std::vector<float> all_as_floats(const WeightEntry& entry);

// Bytes that a row of so many numbers takes, and the row written there.
std::size_t row_bytes(WeightFormat format, Index columns);
void write_row(std::span<const float> numbers, WeightFormat format, std::byte* bytes);

}  // namespace paligemma
