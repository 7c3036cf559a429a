// DeviceBuffer<T, Rank>: numbers in device memory that this object owns. Move-only; frees itself.
// What stands in it is undefined until something is written; under emulation it is NaN.
#pragma once

#include <utility>

#include "cuda/core/device.h"
#include "cuda/core/scratch.h"
#include "tensor/buffer.h"

namespace paligemma {
namespace cuda {

template <class T, int Rank>
class DeviceBuffer {
 public:
  using Shape = typename DeviceView<T, Rank>::Shape;

  explicit DeviceBuffer(Shape shape, Unwritten = unwritten)
      : shape_(shape), data_(static_cast<T*>(allocate(bytes_of(shape)))) {}
  ~DeviceBuffer() { release(data_); }
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : shape_(other.shape_), data_(std::exchange(other.data_, nullptr)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(shape_, other.shape_);
    std::swap(data_, other.data_);
    return *this;
  }

  DeviceView<T, Rank> view() { return {data_, shape_}; }
  DeviceView<const T, Rank> view() const { return {data_, shape_}; }
  std::size_t bytes() const { return bytes_of(shape_); }

 private:
  static std::size_t bytes_of(Shape shape) {
    return static_cast<std::size_t>(DeviceView<T, Rank>(nullptr, shape).count()) * sizeof(T);
  }

  Shape shape_;
  T* data_ = nullptr;
};

// Copies of what is row-major. They wait for the stream: the result is there when they return.
template <class T, int Rank>
DeviceBuffer<std::remove_const_t<T>, Rank> to_device(const Stream& stream, View<T, Rank> host) {
  PG_CHECK(host.is_row_major(), "only whole rows are copied: " + shape_text(host));
  DeviceBuffer<std::remove_const_t<T>, Rank> device(host.shape());
  copy_to_device(stream, device.view().data(), host.data(), device.bytes());
  stream.wait();
  return device;
}

template <class T, int Rank>
Buffer<std::remove_const_t<T>, Rank> to_host(const Stream& stream, DeviceView<T, Rank> device) {
  PG_CHECK(device.is_row_major(), "only whole rows are copied: " + shape_text(device));
  Buffer<std::remove_const_t<T>, Rank> host(device.shape(), unwritten);
  const auto bytes = static_cast<std::size_t>(device.count()) * sizeof(T);
  copy_to_host(stream, host.view().data(), device.data(), bytes);
  stream.wait();
  return host;
}

// Into a buffer that is there already (tensor/buffer.h has the host's).
template <class T, int Rank>
void copy_from_host(const Stream& stream, View<const T, Rank> from, DeviceView<T, Rank> to) {
  PG_CHECK(from.shape() == to.shape(), "from " + shape_text(from) + ", to " + shape_text(to));
  PG_CHECK(from.is_row_major() && to.is_row_major(), "only whole rows are copied");
  copy_to_device(stream, to.data(), from.data(),
                 static_cast<std::size_t>(from.count()) * sizeof(T));
  stream.wait();
}

// Rows from one place on the device to another of the same shape (tensor/buffer.h has the host's).
inline void copy(const Stream& stream, DeviceView<const float, 2> from, DeviceView<float, 2> to) {
  PG_CHECK(from.shape() == to.shape(), "from " + shape_text(from) + ", to " + shape_text(to));
  PG_CHECK(from.is_row_major() && to.is_row_major(), "only whole rows are copied");
  copy_on_device(stream, to.data(), from.data(),
                 static_cast<std::size_t>(from.count()) * sizeof(float));
}

}  // namespace cuda

// A Stream keeps its activations on the device.
template <>
struct MemoryOf<cuda::Stream> {
  template <class T, int Rank>
  using BufferType = cuda::DeviceBuffer<T, Rank>;
  template <class T, int Rank>
  using ScratchType = cuda::Scratch<T, Rank>;
};

}  // namespace paligemma
