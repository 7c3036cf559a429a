// What a Checkpoint does about quantised weights.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>

#include "paligemma/checkpoint.h"
#include "paligemma/stored_order_copy.h"
#include "tensor/errors.h"

namespace paligemma {

namespace {

// The numbers of a tensor in our order.
Buffer<std::byte, 1> put_in_order(const WeightEntry& entry) {
  Buffer<std::byte, 1> ours({std::ssize(entry.bytes)}, unwritten);
  with_format(entry.format, [&]<class Stored>(Stored) {
    if constexpr (!Quantized<Stored>) {
      copy_numbers<Stored>(entry.bytes.data(), *entry.order,
                           reinterpret_cast<Stored*>(ours.view().data()));
    }
  });
  return ours;
}

// Rounded to 8 bits, a NaN would be a number among others: no product of fast kernels shows it.
template <Quantized Block>
View<const Block, 2> with_finite_scales(View<const Block, 2> blocks, const std::string& name) {
  bool all_finite = true;
#pragma omp parallel for reduction(&& : all_finite)
  for (Index i = 0; i < blocks.count(); ++i) {
    all_finite = all_finite && std::isfinite(blocks.data()[i].scale);
  }
  if (!all_finite) {
    throw ModelFileError("tensor " + name +
                         " holds a NaN, an infinity or a weight above 2^127: not to be had as " +
                         std::string(name_of(kFormatOf<Block>)));
  }
  return blocks;
}

}  // namespace

template <Quantized Block>
View<const Block, 2> Checkpoint::blocks(const std::string& name, const std::vector<Index>& shape) {
  const WeightEntry& entry = tensors_.at(name);
  const bool as_it_is = entry.format == kFormatOf<Block>;
  const Index O = shape[0], I = shape[1], count = blocks_of(I);
  const std::byte* bytes = entry.bytes.data();
  if (as_it_is && reinterpret_cast<std::uintptr_t>(bytes) % alignof(Block) == 0) {
    return with_finite_scales<Block>({reinterpret_cast<const Block*>(bytes), {O, count}}, name);
  }
  if (is_quantized(entry.format) && !as_it_is) {
    throw ModelFileError("tensor " + name + " is " + std::string(name_of(entry.format)) +
                         ": quantised weights are used as they are, leave out --dtype");
  }

  const std::size_t size = static_cast<std::size_t>(O * count) * sizeof(Block);
  auto* const out = reinterpret_cast<Block*>(make_copy(name, size));
  if (as_it_is) {
    std::memcpy(out, bytes, size);
    return with_finite_scales<Block>({out, {O, count}}, name);
  }
  WeightEntry ours = entry;
  std::optional<Buffer<std::byte, 1>> in_order;
  if (entry.order) {
    fetch(entry);
    const auto numbers = in_order.emplace(put_in_order(entry)).view();
    ours = {entry.format, shape, {numbers.data(), entry.bytes.size()}};
  }
#pragma omp parallel for
  for (Index o = 0; o < O; ++o) {
    std::vector<float> row(static_cast<std::size_t>(I));
    read_row(ours, o, row);
    write_row(row, kFormatOf<Block>, reinterpret_cast<std::byte*>(out + o * count));
  }
  return with_finite_scales<Block>({out, {O, count}}, name);
}

namespace {

template <int Rank>
View<const bf16, Rank> finite(View<const bf16, Rank> numbers, const std::string& name) {
  constexpr unsigned kExponent = 0x7f80;  // all ones in a NaN and in an infinity
  bool all_finite = true;
#pragma omp parallel for reduction(&& : all_finite)
  for (Index i = 0; i < numbers.count(); ++i) {
    all_finite = all_finite && (numbers.data()[i].bits & kExponent) != kExponent;
  }
  if (!all_finite) throw ModelFileError("tensor " + name + " holds a NaN or an infinity");
  return numbers;
}

}  // namespace

View<const bf16, 2> Checkpoint::matrix_beside_blocks(const std::string& name,
                                                     const std::vector<Index>& shape) {
  return finite(matrix<bf16>(name, shape), name);
}

View<const bf16, 1> Checkpoint::vector_beside_blocks(const std::string& name, Index length) {
  return finite(vector<bf16>(name, length), name);
}

namespace {

// Two sources for load_weights.
struct VisionSource {
  Checkpoint& checkpoint;
  auto matrix(const std::string& name, const std::vector<Index>& shape) const {
    return checkpoint.matrix_beside_blocks(name, shape);
  }
  auto vector(const std::string& name, Index length) const {
    return checkpoint.vector_beside_blocks(name, length);
  }
  auto adapter(const std::string& layer) const { return checkpoint.adapter(layer); }
};

template <Quantized Block>
struct BlockSource {
  Checkpoint& checkpoint;
  LoadListener listener;
  std::size_t all, done = 0;

  auto matrix(const std::string& name, const std::vector<Index>& shape) {
    const auto found = checkpoint.blocks<Block>(name, shape);
    done += static_cast<std::size_t>(found.count()) * sizeof(Block);
    if (listener) listener(done, all);
    return found;
  }
  auto vector(const std::string& name, Index length) const {
    return checkpoint.vector_beside_blocks(name, length);
  }
  auto adapter(const std::string& layer) const { return checkpoint.adapter(layer); }
};

}  // namespace

template <Quantized Block>
ModelWeights<QuantizedWeights<Block>> Checkpoint::quantized_weights(const Config& config,
                                                                    const LoadListener& listener) {
  const Config stored = as_stored(config);
  std::size_t all = 0;
  for (const ExpectedTensor& tensor : expected_tensors(stored)) {
    if (!is_text_matrix(tensor)) continue;
    all += static_cast<std::size_t>(tensor.shape[0] * blocks_of(tensor.shape[1])) * sizeof(Block);
  }
  if (is_quantized(format_)) touch(listener);
  const VisionSource vision{*this};
  BlockSource<Block> text{*this, is_quantized(format_) ? LoadListener() : listener, all};
  return load_weights<QuantizedWeights<Block>>(stored, vision, text);
}

template ModelWeights<QuantizedWeights<Int8Block>> Checkpoint::quantized_weights(
    const Config&, const LoadListener&);
template ModelWeights<QuantizedWeights<Int4Block>> Checkpoint::quantized_weights(
    const Config&, const LoadListener&);
template View<const Int8Block, 2> Checkpoint::blocks(const std::string&, const std::vector<Index>&);
template View<const Int4Block, 2> Checkpoint::blocks(const std::string&, const std::vector<Index>&);

}  // namespace paligemma
