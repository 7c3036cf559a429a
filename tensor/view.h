// View<T, Rank>: a window onto numbers that somebody else owns.
//
// A view is a pointer, a shape and one stride per axis. It allocates nothing, computes nothing and
// is cheap to copy, so functions take views by value: View<const float, 2> to read, View<float, 2>
// to write. Host and device views are different types, so handing a device pointer to host code
// does not compile.
//
//   View<const float, 2> x(data, {3, 4});     x [3, 4], rows are contiguous
//   x(2, 1)                                   data[2 * 4 + 1]
//   x.row(2)                                  View<const float, 1> of 4 elements
//   x.rows(1, 3)                              View<const float, 2> of rows 1 and 2
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <string>
#include <type_traits>

#include "tensor/check.h"
#include "tensor/host_device.h"

namespace paligemma {

using Index = std::ptrdiff_t;  // signed, and wide enough for every product of sizes here

enum class Space { host, device };

template <class T, int Rank, Space S = Space::host>
class View {
  static_assert(Rank >= 1);

 public:
  using Shape = std::array<Index, Rank>;

  // A view of nothing: no elements.
  constexpr View() = default;

  // A row-major view: the last axis is contiguous.
  constexpr View(T* data, Shape shape) : data_(data), shape_(shape) {
    Index stride = 1;
    for (int axis = Rank - 1; axis >= 0; --axis) {
      stride_[axis] = stride;
      stride *= shape_[axis];
    }
  }

  constexpr View(T* data, Shape shape, Shape stride)
      : data_(data), shape_(shape), stride_(stride) {}

  // Whoever may write may also read: View<float, 2> converts to View<const float, 2>.
  template <std::same_as<std::remove_const_t<T>> U>
  constexpr View(View<U, Rank, S> other)  // NOLINT(google-explicit-constructor)
      : data_(other.data()), shape_(other.shape()), stride_(other.stride()) {}

  constexpr T* data() const { return data_; }
  constexpr const Shape& shape() const { return shape_; }
  constexpr const Shape& stride() const { return stride_; }
  constexpr Index size(int axis) const { return shape_[axis]; }
  constexpr bool is_row_major() const { return stride_ == View(data_, shape_).stride_; }

  constexpr Index count() const {
    Index n = 1;
    for (Index s : shape_) n *= s;
    return n;
  }

  template <class... I>
  constexpr T& operator()(I... index) const {
    static_assert(sizeof...(I) == Rank, "one index per axis");
    static_assert(S == Space::host, "device memory is read by kernels, not through a view");
    const Shape i{static_cast<Index>(index)...};
    Index offset = 0;
    for (int axis = 0; axis < Rank; ++axis) offset += i[axis] * stride_[axis];
    return data_[offset];
  }

  constexpr View<T, Rank - 1, S> row(Index i) const {
    std::array<Index, Rank - 1> shape{}, stride{};
    for (int axis = 1; axis < Rank; ++axis) {
      shape[axis - 1] = shape_[axis];
      stride[axis - 1] = stride_[axis];
    }
    return {data_ + i * stride_[0], shape, stride};
  }

  constexpr View rows(Index begin, Index end) const {
    PG_CHECK(0 <= begin && begin <= end && end <= shape_[0],
             std::to_string(begin) + " to " + std::to_string(end));
    Shape shape = shape_;
    shape[0] = end - begin;
    return {data_ + begin * stride_[0], shape, stride_};
  }

  // The same numbers under another shape of the same count: [T, N * H] as [T, N, H].
  template <int OtherRank>
  constexpr View<T, OtherRank, S> reshaped(std::array<Index, OtherRank> shape) const {
    const View<T, OtherRank, S> other(data_, shape);
    PG_CHECK(is_row_major() && other.count() == count(), "cannot be seen under that shape");
    return other;
  }

 private:
  T* data_ = nullptr;
  Shape shape_{};
  Shape stride_{};
};

template <class T, int Rank>
using DeviceView = View<T, Rank, Space::device>;

// "[3, 4]", for error messages.
template <class T, int Rank, Space S>
std::string shape_text(View<T, Rank, S> v) {
  std::string text = "[";
  for (int axis = 0; axis < Rank; ++axis) {
    text += (axis ? ", " : "") + std::to_string(v.size(axis));
  }
  return text + "]";
}

}  // namespace paligemma
