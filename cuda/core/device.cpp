// On a GPU. emulation/device.cpp has the other one.
#include "cuda/core/device.h"

#include "cuda/core/check.h"

namespace paligemma::cuda {

Stream::Stream(Math math) : math_(math) {
  check(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
}
Stream::~Stream() {
  if (handle_ != nullptr) cudaStreamDestroy(handle_);
}
void Stream::wait() const { check(cudaStreamSynchronize(handle_), "cudaStreamSynchronize"); }

std::string device_problem() {
  int count = 0, driver = 0, runtime = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess) return count == 0 ? "no CUDA device" : "";
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (driver == 0) return "no CUDA device: there is no NVIDIA driver";
  if (status != cudaErrorInsufficientDriver) {
    return std::string("no CUDA device: ") + cudaGetErrorString(status);
  }
  const auto version = [](int v) {
    return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10);
  };
  return "the NVIDIA driver is too old: it is for CUDA " + version(driver) + ", the kernels for " +
         version(runtime);
}

std::vector<DeviceInfo> devices() {
  int count = 0;
  check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
  std::vector<DeviceInfo> all;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, i), "cudaGetDeviceProperties");
    all.push_back(
        {properties.name, properties.totalGlobalMem, 10 * properties.major + properties.minor});
  }
  return all;
}
void use_device(int number) { check(cudaSetDevice(number), "cudaSetDevice"); }

namespace {

// Of the device in use.
int attribute(cudaDeviceAttr which, const char* name) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&value, which, device), name);
  return value;
}

}  // namespace

int compute_capability() {
  return 10 * attribute(cudaDevAttrComputeCapabilityMajor, "compute capability") +
         attribute(cudaDevAttrComputeCapabilityMinor, "compute capability");
}
int multiprocessors() { return attribute(cudaDevAttrMultiProcessorCount, "multiprocessors"); }
std::size_t most_shared_bytes() {
  return static_cast<std::size_t>(
      attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, "shared memory of a block"));
}

bool is_emulated() { return false; }
bool is_checked() { return false; }
void set_thread_order(std::uint64_t) {}
unsigned long take_ldmatrix_conflicts() { return 0; }

void* allocate(std::size_t bytes) {
  void* p = nullptr;
  check(cudaMalloc(&p, bytes == 0 ? 1 : bytes),
        "cudaMalloc of " + std::to_string(bytes) + " bytes");
  return p;
}
void release(void* p) noexcept { cudaFree(p); }

void copy_to_device(const Stream& stream, void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream.handle()),
        "cudaMemcpyAsync to the device");
}
void copy_to_host(const Stream& stream, void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream.handle()),
        "cudaMemcpyAsync to the host");
}
void copy_on_device(const Stream& stream, void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream.handle()),
        "cudaMemcpyAsync on the device");
}
void fill_bytes(const Stream& stream, void* p, unsigned char byte, std::size_t bytes) {
  check(cudaMemsetAsync(p, byte, bytes, stream.handle()), "cudaMemsetAsync");
}

}  // namespace paligemma::cuda
