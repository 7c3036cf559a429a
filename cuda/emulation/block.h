// What the parts of the emulation know of a running block.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "cuda/emulation/fiber.h"
#include "cuda/emulation/scheduler.h"

namespace paligemma::emulation {

enum class State : unsigned char { ready, at_barrier, in_warp, at_grid, done };

struct Copy {  // a cp.async that nobody has waited for
  void* to;
  const void* from;
  unsigned bytes, from_bytes, group;
  Site where;
};

struct Product {  // a wgmma, likewise
  float* d;
  int columns;
  std::uint64_t a, b;
  unsigned group;
  Site where;
};

struct Block;
struct Thread {
  Block* block;
  uint3 index;
  unsigned id, lane, warp;
  State state;
  const char* operation;  // what it waits for, and the rest of its reasons
  Site where;
  unsigned mask, barrier;
  void* slot;
  Act act;
  std::vector<Copy> copies;
  unsigned copy_group;
  std::vector<Product> products;
  unsigned product_group;
  bool has_unfenced_copies;  // they have ended, but wgmma might not see them yet
  bool may_multiply;         // there was a wgmma.fence since the last group of products
  Fiber fiber;
};

struct Warp {
  unsigned live, waiting;  // lanes
};

struct Barrier {
  unsigned arrived;
  Site where;
};

// What is known of two bytes of shared memory: who wrote them last, who has read them since, and
// when. Each warp has a clock that barriers and __syncwarp advance; at a barrier the warps tell each
// other their clocks.
struct Place {
  const void* program_counter;  // if it is null, `site`
  Site site;
};
struct Access {
  unsigned thread, clock;
  bool atomic;
  Place place;
};
struct Cell {
  unsigned generation;  // of the block that the rest is about
  bool written, read, read_by_many;
  Access write, last_read;
};
struct Shadow {
  std::uintptr_t begin = 0;
  std::size_t bytes = 0;
  std::vector<Cell> cells;
};

struct Block {
  uint3 index;
  std::vector<Thread> threads;
  Warp warps[32];
  Barrier barriers[16];
  unsigned live;
  unsigned unfenced;  // threads that have unfenced copies
  std::unique_ptr<char, void (*)(void*)> shared{nullptr, std::free};
  std::size_t shared_room = 0;
  Shadow shadow;  // of `shared`
  unsigned generation;
  unsigned clocks[32][32];  // [w][v]: the latest moment of warp v that warp w knows of
};

extern Thread* self;  // the running thread; null outside of kernels
extern Configuration current;
bool toss_coin();  // false in the order of seed 0

// The side that runs the threads, and what it is to throw when it is back there.
extern Fiber host_fiber;
extern std::string host_failure;
void to_host(bool for_ever = false);

// Barriers: the warps tell each other what they know, and a new moment begins for each.
void synchronise(Block&, unsigned warps);
void thread_ended();  // the running one: those that wait for it need not

// A text that needs no destructor: whoever fails never returns to run one.
struct Text {
  char characters[200];
  const char* c_str() const { return characters; }
};
Text describe(const Site&);
Text describe(const char* what, uint3 index);

// ---- the check of memory --------------------------------------------------------------------------

enum class Touch : unsigned char { read, write, atomic, copy_begins, copy_ends };
void start_check(Block&);
void touch(const void* address, std::size_t bytes, Touch, const Place&);

}  // namespace paligemma::emulation
