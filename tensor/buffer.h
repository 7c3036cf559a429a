// Buffer<T, Rank>: numbers on the host that this object owns. Move-only; frees itself. It starts as
// zeros, or as whatever stands in memory where all that is read of it is written first:
//
//   Buffer<float, 2> y({T, D}, unwritten);
//
// It begins at a cache line, so that a register of 64 bytes is never stored across two.
#pragma once

#include <algorithm>
#include <concepts>
#include <memory>
#include <new>
#include <type_traits>

#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

struct Unwritten {};
inline constexpr Unwritten unwritten;

template <class T, int Rank>
class Buffer {
 public:
  using Shape = typename View<T, Rank>::Shape;

  explicit Buffer(Shape shape) : Buffer(shape, unwritten) {
    std::uninitialized_value_construct_n(data_.get(), count(shape));
  }
  Buffer(Shape shape, Unwritten) : shape_(shape) {
    static_assert(std::is_trivially_destructible_v<T>);
    data_.reset(static_cast<T*>(::operator new(count(shape) * sizeof(T), kLine)));
    std::uninitialized_default_construct_n(data_.get(), count(shape));
  }

  View<T, Rank> view() { return {data_.get(), shape_}; }
  View<const T, Rank> view() const { return {data_.get(), shape_}; }

 private:
  static std::size_t count(Shape shape) {
    return static_cast<std::size_t>(View<T, Rank>(nullptr, shape).count());
  }

  static constexpr std::align_val_t kLine{64};
  struct Free {
    void operator()(T* data) const { ::operator delete(data, kLine); }
  };

  Shape shape_;
  std::unique_ptr<T, Free> data_;
};

// Memory of the host for one operation, until the end of the scope.
template <class T, int Rank>
class HostScratch {
 public:
  HostScratch(const auto& /*on*/, typename View<T, Rank>::Shape shape)
      : buffer_(shape, unwritten) {}
  View<T, Rank> view() { return buffer_.view(); }

 private:
  Buffer<T, Rank> buffer_;
};

// Where an executor keeps its activations: BufferOn<Reference, float, 2> is host memory. An
// executor with a memory of its own specialises MemoryOf.
template <class On>
struct MemoryOf {
  template <class T, int Rank>
  using BufferType = Buffer<T, Rank>;
  template <class T, int Rank>
  using ScratchType = HostScratch<T, Rank>;
};

template <class On, class T, int Rank>
using BufferOn = typename MemoryOf<On>::template BufferType<T, Rank>;
// ScratchOn<On, float, 2> rows(on, {T, D});
template <class On, class T, int Rank>
using ScratchOn = typename MemoryOf<On>::template ScratchType<T, Rank>;

// An executor that works in the host's memory.
template <class On>
concept OnHost = std::same_as<BufferOn<On, float, 1>, Buffer<float, 1>>;

// Numbers of the host to where an executor reads them.
template <OnHost On, class T, int Rank>
void copy_from_host(const On&, View<const T, Rank> from, View<T, Rank> to) {
  PG_CHECK(from.shape() == to.shape(), "from " + shape_text(from) + ", to " + shape_text(to));
  PG_CHECK(from.is_row_major() && to.is_row_major(), "only whole rows are copied");
  std::copy_n(from.data(), from.count(), to.data());
}

// Rows from one place to another of the same shape.
template <OnHost On>
void copy(const On&, View<const float, 2> from, View<float, 2> to) {
  PG_CHECK(from.shape() == to.shape(), "from " + shape_text(from) + ", to " + shape_text(to));
  for (Index t = 0; t < from.size(0); ++t) {
    for (Index d = 0; d < from.size(1); ++d) to(t, d) = from(t, d);
  }
}

// Rows of zeros, wherever the executor has them.
template <class On, Space S>
void zero(const On& on, View<float, 2, S> rows) {
  const Buffer<float, 2> zeros(rows.shape());
  copy_from_host(on, zeros.view(), rows);
}
template <OnHost On>
void zero(const On&, View<float, 2> rows) {
  PG_CHECK(rows.is_row_major(), "only whole rows are zeroed");
  std::fill_n(rows.data(), rows.count(), 0.0f);
}

}  // namespace paligemma
