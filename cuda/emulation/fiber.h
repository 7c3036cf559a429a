// Fibers: call stacks that one thread of the operating system leaves and enters by hand. Each thread
// of an emulated block is one. On x86-64 a switch is some fifteen instructions; elsewhere, or with
// PG_FIBERS_BY_UCONTEXT, it is swapcontext, which is about fifty times slower and runs anywhere.
#pragma once

#include <cstddef>

#if !defined(__x86_64__) && !defined(PG_FIBERS_BY_UCONTEXT)
#define PG_FIBERS_BY_UCONTEXT
#endif
#ifdef PG_FIBERS_BY_UCONTEXT
#include <ucontext.h>
#endif

namespace paligemma::emulation {

struct Fiber {
  const void* stack = nullptr;  // its lowest address; of the thread's own stack found on the way
  std::size_t stack_bytes = 0;
  void* sanitizer_stack = nullptr;  // where AddressSanitizer keeps what it knows of this stack
#ifdef PG_FIBERS_BY_UCONTEXT
  ucontext_t context = {};
#else
  void* stack_pointer = nullptr;
#endif
};

// The next switch to `fiber` calls `entry`, which must not return, on the stack given.
void start_fiber(Fiber& fiber, char* stack, std::size_t bytes, void (*entry)());

// `entry` calls this first.
void fiber_started();

// Leaves `from`, the running one, and goes on where `to` left off. If `for_ever`, nobody will come
// back to `from`.
void switch_fibers(Fiber& from, Fiber& to, bool for_ever = false);

// Memory for stacks, kept for the next launch. Below each is a page that must not be touched.
char* fiber_stack(std::size_t i);
inline constexpr std::size_t kFiberStackBytes = 256 * 1024;

// Forgets what AddressSanitizer holds of the first n stacks, after fibers were left for ever.
void forget_fiber_stacks(std::size_t n);

}  // namespace paligemma::emulation
