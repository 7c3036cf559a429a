#include "cuda/emulation/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <vector>

#include "cuda/emulation/sanitizer.h"

namespace paligemma::emulation {
namespace {

Fiber* left = nullptr;  // by the latest switch

}  // namespace

#ifndef PG_FIBERS_BY_UCONTEXT

// Puts the registers that a function must keep on the old stack, its stack pointer in *from, and
// goes on at `to`. A jump, not a return: the processor predicts returns, and would be wrong.
extern "C" void paligemma_switch_stack(void** from, void* to);
asm(R"(
.text
.type paligemma_switch_stack,@function
paligemma_switch_stack:
  push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp
  pop %rcx
  jmp *%rcx
.size paligemma_switch_stack,.-paligemma_switch_stack
)");

void start_fiber(Fiber& fiber, char* stack, std::size_t bytes, void (*entry)()) {
  fiber.stack = stack;
  fiber.stack_bytes = bytes;
  auto** top = reinterpret_cast<void**>(stack + bytes);
  *--top = nullptr;  // where `entry` would return to: ends a debugger's backtrace
  *--top = reinterpret_cast<void*>(entry);
  fiber.stack_pointer = std::fill_n(top - 6, 6, nullptr) - 6;
}

static void swap(Fiber& from, Fiber& to) {
  paligemma_switch_stack(&from.stack_pointer, to.stack_pointer);
}

#else

void start_fiber(Fiber& fiber, char* stack, std::size_t bytes, void (*entry)()) {
  fiber.stack = stack;
  fiber.stack_bytes = bytes;
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = stack;
  fiber.context.uc_stack.ss_size = bytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, entry, 0);
}

static void swap(Fiber& from, Fiber& to) { swapcontext(&from.context, &to.context); }

#endif

void fiber_started() { has_switched(nullptr, &left->stack, &left->stack_bytes); }

void switch_fibers(Fiber& from, Fiber& to, bool for_ever) {
  left = &from;
  will_switch(for_ever ? nullptr : &from.sanitizer_stack, to.stack, to.stack_bytes);
  swap(from, to);
  has_switched(from.sanitizer_stack, nullptr, nullptr);
}

char* fiber_stack(std::size_t i) {
  static std::vector<char*> stacks;
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  while (stacks.size() <= i) {
    void* p = mmap(nullptr, kFiberStackBytes + page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    mprotect(p, page, PROT_NONE);
    stacks.push_back(static_cast<char*>(p) + page);
  }
  return stacks[i];
}

void forget_fiber_stacks(std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) allow(fiber_stack(i), kFiberStackBytes);
}

}  // namespace paligemma::emulation
