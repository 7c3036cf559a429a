// What there is to run on, and its memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/core/stream.h"

namespace paligemma::cuda {

// Why no kernel can run here, in one line; empty if one can.
std::string device_problem();

struct DeviceInfo {
  std::string name;
  std::size_t bytes;  // of memory
  int capability;     // 90 for 9.0
};
std::vector<DeviceInfo> devices();
void use_device(int number);  // by this thread, from now on

// Of the device in use. 90 is Hopper, whose instructions hopper.h has. Emulated: 90.
int compute_capability();
// The number of multiprocessors. Emulated: 2, so that grids of that size have more than one block.
int multiprocessors();
// Of shared memory, that one block may ask for: 227 KiB on Hopper, 163 on an A100, 99 on many others.
std::size_t most_shared_bytes();

// Whether kernels run on the host, as cuda/emulation/ does it.
bool is_emulated();
// Emulated with a check of every access to memory.
bool is_checked();
// The order in which emulated threads run (emulation/scheduler.h). Nothing changes on a GPU.
void set_thread_order(std::uint64_t seed);
// How many bank conflicts ldmatrix had since this was last called: rows of a matrix that lie in the same
// bank of shared memory as another row of it. Each costs a cycle. Counted under emulation only.
unsigned long take_ldmatrix_conflicts();

// Device memory of at least one byte; what stands in it is undefined. Throws CudaError.
void* allocate(std::size_t bytes);
void release(void* p) noexcept;

// Queued on the stream. A copy to or from the host has ended when it returns only if the host's memory
// is pageable, as all of ours is, and after Stream::wait().
void copy_to_device(const Stream&, void* to, const void* from, std::size_t bytes);
void copy_to_host(const Stream&, void* to, const void* from, std::size_t bytes);
void copy_on_device(const Stream&, void* to, const void* from, std::size_t bytes);
void fill_bytes(const Stream&, void* p, unsigned char byte, std::size_t bytes);

}  // namespace paligemma::cuda
