// Runs the blocks of a launch, and lets their threads wait for one another.
//
// Blocks run one after another. The threads of a block are fibers of one thread of the operating
// system, which run until they must wait: so a run is deterministic and a debugger can step through
// it. A wait that nothing will end is an Error that says who waits where.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/core/error.h"
#include "cuda/emulation/vector_types.h"

// The caller's place, for messages: the last parameter of everything that a kernel can do wrong.
#define PG_SITE const ::paligemma::emulation::Site& where = ::paligemma::emulation::Site::here()

namespace paligemma::emulation {

struct Site {  // std::source_location, which clang 14 lacks
  const char* file;
  unsigned line;

  static constexpr Site here(const char* file = __builtin_FILE(),
                             unsigned line = __builtin_LINE()) {
    return {file, line};
  }
};

struct Error : cuda::CudaError {
  using CudaError::CudaError;
};

// Ends the launch with an Error that also names the running thread and the launch.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

inline constexpr std::size_t kMostSharedBytes = 227 * 1024;  // of a block on a Hopper GPU

struct Configuration {
  dim3 grid, block;
  std::size_t shared_bytes;
  bool cooperative;  // all blocks are there at once and may wait for one another
  Site where;
};

// Calls `body(arguments)` once for each thread.
void run(const Configuration&, void (*body)(void*), void* arguments);

// The order in which threads run: 0 is by number; any other seed shuffles them anew whenever all
// wait, takes odd seeds' blocks backwards, and lets cp.async copy at once or as late as it may.
// Until it is set, the environment's PG_EMULATION_SEED holds.
void set_order(std::uint64_t seed);

// ---- what a thread can wait for -----------------------------------------------------------------

// `threads` of the block meet at barrier `id`; 0 stands for all of them.
void block_barrier(int id, unsigned threads, const char* operation, const Site&);

// All blocks of a cooperative launch meet.
void grid_barrier(const Site&);

// The live lanes of `mask` meet: the last to come runs `act` once for all, over the slot that each
// of them brought.
using Act = void (*)(void* const slots[32], unsigned lanes);
void warp_meet(unsigned mask, const char* operation, void* slot, Act act, const Site&);

template <class F>
void for_lanes(unsigned lanes, F f) {
  for (; lanes != 0; lanes &= lanes - 1) f(__builtin_ctz(lanes));
}

unsigned lane();  // of the running thread

// ---- memory ---------------------------------------------------------------------------------------

void* dynamic_shared_memory(std::size_t need, std::size_t alignment);
void note_atomic(const void* address, std::size_t bytes, const Site&);

// Memory starts as this byte: NaN as float, bf16 and f16, -1 as an integer.
inline constexpr unsigned char kPoison = 0xff;

// Whether kernels are compiled so that each access to memory is looked at (memory_check.cpp).
bool is_checked();

}  // namespace paligemma::emulation
