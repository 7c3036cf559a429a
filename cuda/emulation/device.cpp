// cuda/core/device.h and stream.h without a GPU: a queued operation is done at once.
#include "cuda/core/device.h"

#include <cstring>

#include "cuda/core/error.h"
#include "cuda/emulation/device_memory.h"
#include "cuda/emulation/recording.h"
#include "cuda/emulation/scheduler.h"
#include "cuda/emulation/tensor_core.h"

namespace paligemma::cuda {
namespace {

// A copy beyond the end of device memory, or from memory that was released.
void need_device_memory(const char* call, const void* p, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  const emulation::Allocation* a = emulation::allocation_near(address);
  if (bytes == 0) return;
  if (a == nullptr) throw CudaError(std::string(call) + ": no device memory");
  if (address < a->begin || address + bytes > a->begin + a->bytes) {
    throw CudaError(std::string(call) + ": " + std::to_string(bytes) + " bytes at byte " +
                    std::to_string(address - a->begin) + " of " + std::to_string(a->bytes));
  }
}

// As CUDA refuses it while a stream is captured.
void need_no_recording(const char* call) {
  if (emulation::recording != nullptr) {
    throw CudaError(std::string(call) + ": not while a graph is recorded");
  }
}

}  // namespace

Stream::Stream(Math math) : math_(math) {}
Stream::~Stream() = default;
void Stream::wait() const { need_no_recording("wait"); }

std::string device_problem() { return ""; }
std::vector<DeviceInfo> devices() { return {{"emulation", 0, 90}}; }
void use_device(int) {}

int compute_capability() { return 90; }
int multiprocessors() { return 2; }
std::size_t most_shared_bytes() { return emulation::kMostSharedBytes; }
bool is_emulated() { return true; }
bool is_checked() { return emulation::is_checked(); }
void set_thread_order(std::uint64_t seed) { emulation::set_order(seed); }
unsigned long take_ldmatrix_conflicts() { return emulation::take_ldmatrix_conflicts(); }

void* allocate(std::size_t bytes) {
  need_no_recording("allocate");
  void* p = emulation::allocate(bytes == 0 ? 1 : bytes);
  if (p == nullptr) throw CudaError("no memory for " + std::to_string(bytes) + " bytes");
  return p;
}
void release(void* p) noexcept { emulation::release(p); }

void copy_to_device(const Stream&, void* to, const void* from, std::size_t bytes) {
  need_no_recording("copy_to_device");
  need_device_memory("copy_to_device", to, bytes);
  std::memcpy(to, from, bytes);
  emulation::mark_written(to, bytes);
}
void copy_to_host(const Stream&, void* to, const void* from, std::size_t bytes) {
  need_no_recording("copy_to_host");
  need_device_memory("copy_to_host", from, bytes);
  std::memcpy(to, from, bytes);
}
void copy_on_device(const Stream&, void* to, const void* from, std::size_t bytes) {
  need_device_memory("copy_on_device", from, bytes);
  need_device_memory("copy_on_device", to, bytes);
  emulation::do_or_record([=] {
    std::memmove(to, from, bytes);
    emulation::mark_written(to, bytes);
  });
}
void fill_bytes(const Stream&, void* p, unsigned char byte, std::size_t bytes) {
  need_device_memory("fill_bytes", p, bytes);
  emulation::do_or_record([=] {
    std::memset(p, byte, bytes);
    emulation::mark_written(p, bytes);
  });
}

}  // namespace paligemma::cuda
