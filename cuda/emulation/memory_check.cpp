// Finds races on shared memory, reads of memory that nobody wrote, and accesses beyond device
// memory and dynamic shared memory. Kernels are compiled with -fsanitize=thread, which calls a
// function at every access to memory; those functions are below, and the thread sanitizer's own
// runtime is not linked. This file itself is compiled without it.
//
// Of several readers of a cell only the last is kept, so a race can be missed in rare patterns; none
// is reported that is not there.
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "cuda/emulation/block.h"
#include "cuda/emulation/device_memory.h"
#include "cuda/emulation/sanitizer.h"

extern "C" char __executable_start, __bss_start, _end;  // the linker's

namespace paligemma::emulation {
namespace {

constexpr unsigned kGranule = 2;     // bytes of a cell: no kernel shares smaller values
constexpr unsigned kInFlight = ~0u;  // the clock of a cp.async that nobody has waited for
Shadow variables;  // all static variables of the program: kernels' __shared__ ones are among them
bool checked = false;

Text describe_place(const Place& p) {
  if (p.program_counter == nullptr) return describe(p.site);
  const auto offset = static_cast<const char*>(p.program_counter) - &__executable_start - 1;
  char command[256];
  std::snprintf(command, sizeof command, "addr2line -s -e /proc/%d/exe %#zx", getpid(),
                static_cast<std::size_t>(offset));
  Text line = {"?"};
  if (FILE* f = popen(command, "r")) {
    if (std::fgets(line.characters, sizeof line.characters, f) != nullptr) {
      line.characters[std::strcspn(line.characters, "\n ")] = 0;
    }
    pclose(f);
  }
  return line;
}

bool is_before(const Access& a, const Thread& t) {
  if (a.clock == kInFlight) return false;
  if (a.thread == t.id) return true;
  const unsigned w = a.thread / 32, known = t.block->clocks[t.warp][w];
  return w == t.warp ? a.clock < known : a.clock <= known;
}

[[noreturn]] void fail_race(const Thread& t, Touch kind, const Place& place, const Access& other,
                            const char* did) {
  fail("%s at %s %s shared memory that %s %s at %s, with no barrier between",
       describe("thread", t.index).c_str(), describe_place(place).c_str(),
       kind == Touch::read ? "reads" : "writes",
       describe("thread", t.block->threads[other.thread].index).c_str(), did,
       describe_place(other.place).c_str());
}

void touch_cell(Cell& c, const Thread& t, Touch kind, const Place& place) {
  const Block& b = *t.block;
  const unsigned clock = kind == Touch::copy_begins ? kInFlight : b.clocks[t.warp][t.warp];
  if (c.generation != b.generation) c = {b.generation, false, false, false, {}, {}};
  if (kind == Touch::copy_ends) {
    c.write.clock = clock;
    return;
  }
  if (!c.written && (kind == Touch::read || kind == Touch::atomic)) {
    fail("%s at %s reads shared memory that no thread has written",
         describe("thread", t.index).c_str(), describe_place(place).c_str());
  }
  const bool both_atomic = kind == Touch::atomic && c.write.atomic;
  if (c.written && !is_before(c.write, t) && !both_atomic) {
    const bool is_filling = c.write.clock == kInFlight;
    fail_race(t, kind, place, c.write, is_filling ? "is filling by cp.async, begun" : "wrote");
  }

  const Access now{t.id, clock, kind == Touch::atomic, place};
  const bool read_by_another =
      c.read && (c.read_by_many || c.last_read.thread != t.id) && !is_before(c.last_read, t);
  if (kind == Touch::read) {  // of several readers the last stands for all not ordered before it
    c.read_by_many = read_by_another;
    c.read = true;
    c.last_read = now;
  } else {
    if (read_by_another) fail_race(t, kind, place, c.last_read, "read");
    c.written = true;
    c.read = false;
    c.write = now;
  }
}

void touch_device(Allocation& a, std::uintptr_t address, std::size_t bytes, Touch kind,
                  const Place& place) {
  const char* does = kind == Touch::read ? "reads" : "writes";
  if (address < a.begin || address + bytes > a.begin + a.bytes) {
    fail("%s at %s %s device memory at byte %td of %zu", describe("thread", self->index).c_str(),
         describe_place(place).c_str(), does, static_cast<std::ptrdiff_t>(address - a.begin),
         a.bytes);
  }
  for (std::size_t i = address - a.begin; i < address - a.begin + bytes; ++i) {
    if (kind != Touch::write && !a.written[i]) {
      fail("%s at %s reads device memory that nobody has written (byte %zu of %zu)",
           describe("thread", self->index).c_str(), describe_place(place).c_str(), i, a.bytes);
    }
    if (kind != Touch::read) a.written[i] = true;
  }
}

}  // namespace

bool is_checked() { return checked; }

void start_check(Block& b) {
  variables.begin = reinterpret_cast<std::uintptr_t>(&__bss_start);
  variables.bytes = static_cast<std::size_t>(&_end - &__bss_start);
  variables.cells.resize(variables.bytes / kGranule + 1);
  b.shadow.cells.resize(b.shadow.bytes / kGranule + 1);
}

void touch(const void* p, std::size_t bytes, Touch kind, const Place& place) {
  if (self == nullptr || !checked || bytes == 0) return;
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  const Fiber& fiber = self->fiber;
  if (address - reinterpret_cast<std::uintptr_t>(fiber.stack) < fiber.stack_bytes) return;

  Shadow* s = &self->block->shadow;
  if (address - s->begin < self->block->shared_room && address - s->begin + bytes > s->bytes) {
    fail("%s at %s touches dynamic shared memory at byte %zu of %zu",
         describe("thread", self->index).c_str(), describe_place(place).c_str(), address - s->begin,
         s->bytes);
  }
  if (address - s->begin >= s->bytes) s = &variables;
  if (address - s->begin >= s->bytes) {
    if (Allocation* a = allocation_near(address)) touch_device(*a, address, bytes, kind, place);
    return;
  }
  if (s == &variables && current.cooperative) return;  // one variable stands for all blocks'
  const std::size_t first = (address - s->begin) / kGranule;
  const std::size_t last = (address - s->begin + bytes - 1) / kGranule;
  for (std::size_t i = first; i <= last; ++i) touch_cell(s->cells[i], *self, kind, place);
}

void note_atomic(const void* address, std::size_t bytes, const Site& where) {
  touch(address, bytes, Touch::atomic, {nullptr, where});
}

}  // namespace paligemma::emulation

// ---- what the compiler calls ----------------------------------------------------------------------

#ifndef PG_THREAD_SANITIZER  // which has these functions itself

using paligemma::emulation::touch;
using paligemma::emulation::Touch;

#define PG_HOOK(name, bytes, kind)                                   \
  extern "C" void __tsan_##name(const void* p) {                     \
    touch(p, bytes, Touch::kind, {__builtin_return_address(0), {}}); \
  }
#define PG_HOOKS(bytes)                       \
  PG_HOOK(read##bytes, bytes, read)           \
  PG_HOOK(unaligned_read##bytes, bytes, read) \
  PG_HOOK(write##bytes, bytes, write) PG_HOOK(unaligned_write##bytes, bytes, write)
PG_HOOKS(1)
PG_HOOKS(2)
PG_HOOKS(4)
PG_HOOKS(8)
PG_HOOKS(16)
extern "C" {
void __tsan_read_range(const void* p, unsigned long n) {
  touch(p, n, Touch::read, {__builtin_return_address(0), {}});
}
void __tsan_write_range(const void* p, unsigned long n) {
  touch(p, n, Touch::write, {__builtin_return_address(0), {}});
}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() { paligemma::emulation::checked = true; }  // at the program's start
}

#endif
