#include "cuda/emulation/scheduler.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cuda/emulation/block.h"
#include "cuda/emulation/language.h"
#include "cuda/emulation/sanitizer.h"

// Not in .bss, where the check of memory looks for kernels' shared variables.
#define PG_NO_SHARED_VARIABLE __attribute__((section(".data.emulation")))
PG_NO_SHARED_VARIABLE uint3 threadIdx{}, blockIdx{};
PG_NO_SHARED_VARIABLE dim3 blockDim, gridDim;

namespace paligemma::emulation {

PG_NO_SHARED_VARIABLE Thread* self = nullptr;
PG_NO_SHARED_VARIABLE Configuration current{};
Fiber host_fiber;
std::string host_failure;

namespace {

struct Host {  // the side that runs the fibers
  void (*body)(void*) = nullptr;
  void* arguments = nullptr;
  unsigned generation = 0;
  std::uint64_t seed = 0, random = 0;
  bool is_seed_set = false;
} host;

unsigned random_below(unsigned n) {
  host.random = host.random * 6364136223846793005u + 1442695040888963407u;
  return static_cast<unsigned>((host.random >> 33) % n);
}

// ---- threads --------------------------------------------------------------------------------------

void resume(Thread& t) {
  self = &t;
  threadIdx = t.index;
  switch_fibers(host_fiber, t.fiber);
  self = nullptr;
  if (!host_failure.empty()) throw Error(std::exchange(host_failure, {}));
}

void thread_main() {
  fiber_started();
  host.body(host.arguments);
  thread_ended();
  to_host(true);
}

// ---- blocks ---------------------------------------------------------------------------------------

void start_threads(Block& b, std::size_t first_stack) {
  const dim3& size = current.block;
  b.threads.resize(b.live);
  for (unsigned i = 0; i < b.live; ++i) {
    Thread& t = b.threads[i];
    t.block = &b;
    t.id = i, t.lane = i % 32, t.warp = i / 32;
    t.state = State::ready;
    t.index = {i % size.x, i / size.x % size.y, i / size.x / size.y};
    t.copies.clear(), t.products.clear();
    t.copy_group = t.product_group = 0;
    t.has_unfenced_copies = t.may_multiply = false;
    // Stacks that began at the same offset from a page would compete for the same few places of a
    // cache.
    start_fiber(t.fiber, fiber_stack(first_stack + i), kFiberStackBytes - i * 320 % 4096,
                thread_main);
  }
}

void start(Block& b, unsigned linear, std::size_t first_stack) {
  const dim3& grid = current.grid;
  b.index = {linear % grid.x, linear / grid.x % grid.y, linear / grid.x / grid.y};
  b.live = current.block.x * current.block.y * current.block.z;
  b.unfenced = 0;
  b.generation = ++host.generation;
  for (unsigned w = 0; w < 32; ++w) {
    const unsigned lanes = b.live > w * 32 ? std::min(b.live - w * 32, 32u) : 0;
    b.warps[w] = {lanes == 32 ? ~0u : (1u << lanes) - 1, 0};
    std::fill_n(b.clocks[w], 32, 0u);
    b.clocks[w][w] = 1;
  }
  for (auto& barrier : b.barriers) barrier.arrived = 0;
  start_threads(b, first_stack);

  // Behind the shared memory lies some that must not be touched.
  if (!b.shared || b.shared_room < current.shared_bytes + 128) {
    if (b.shared) allow(b.shared.get(), b.shared_room);
    b.shared_room = current.shared_bytes / 128 * 128 + 256;
    const std::size_t rounded = (b.shared_room + 1023) / 1024 * 1024;
    b.shared.reset(static_cast<char*>(std::aligned_alloc(1024, rounded)));
  }
  allow(b.shared.get(), b.shared_room);
  std::memset(b.shared.get(), kPoison, current.shared_bytes);
  forbid(b.shared.get() + current.shared_bytes, b.shared_room - current.shared_bytes);
  b.shadow.begin = reinterpret_cast<std::uintptr_t>(b.shared.get());
  b.shadow.bytes = current.shared_bytes;
  if (is_checked()) start_check(b);
}

[[noreturn]] void report_stuck(const Block& b) {
  std::string text = std::string(describe("block", b.index).c_str()) +
                     " of the kernel launched at " + describe(current.where).c_str() + " is stuck:";
  const auto reason = [](const Thread& t) {
    if (t.state == State::done) return std::string("ended");
    return std::string("wait at ") + t.operation + " " + describe(t.where).c_str();
  };
  for (std::size_t i = 0, end; i < b.threads.size(); i = end) {
    end = i + 1;
    while (end < b.threads.size() && reason(b.threads[end]) == reason(b.threads[i])) ++end;
    text += "\n  threads " + std::to_string(i) + " to " + std::to_string(end - 1) + " " +
            reason(b.threads[i]);
  }
  throw Error(text);
}

// Runs the block until its threads have ended or wait for the grid; true if they have ended.
bool proceed(Block& b) {
  blockIdx = b.index;
  std::vector<unsigned> order(b.threads.size());
  for (unsigned i = 0; i < order.size(); ++i) order[i] = i;
  for (bool progress = true; progress;) {
    progress = false;
    for (auto i = static_cast<unsigned>(order.size()); host.seed != 0 && i > 1; --i) {
      std::swap(order[i - 1], order[random_below(i)]);
    }
    for (unsigned i : order) {
      if (b.threads[i].state != State::ready) continue;
      resume(b.threads[i]);
      progress = true;
    }
  }
  for (const Thread& t : b.threads) {
    if (t.state == State::done || (t.state == State::at_grid && b.live == b.threads.size()))
      continue;
    report_stuck(b);
  }
  return b.live == 0;
}

void run_cooperative(std::vector<Block>& blocks, std::size_t n, std::size_t threads) {
  for (std::size_t i = 0; i < n; ++i) start(blocks[i], static_cast<unsigned>(i), i * threads);
  for (std::size_t ended = 0; ended < n;) {
    ended = 0;
    for (std::size_t i = 0; i < n; ++i) ended += proceed(blocks[i]) ? 1 : 0;
    if (ended == n) return;
    if (ended > 0) {
      throw Error(std::string("some blocks of the kernel launched at ") +
                  describe(current.where).c_str() + " ended, others wait at grid_sync");
    }
    for (std::size_t i = 0; i < n; ++i) {
      for (Thread& t : blocks[i].threads) t.state = State::ready;
      synchronise(blocks[i], ~0u >> (32 - (threads + 31) / 32));
    }
  }
}

void refuse_what_no_gpu_can_launch(const Configuration& c, std::size_t blocks,
                                   std::size_t threads) {
  if (blocks > 0 && c.grid.x <= 0x7fff'ffff && c.grid.y <= 65535 && c.grid.z <= 65535 &&
      threads > 0 && threads <= 1024 && c.block.z <= 64 && c.shared_bytes <= kMostSharedBytes) {
    return;
  }
  throw Error(std::string("no GPU can launch this (") + describe(c.where).c_str() +
              "): " + std::to_string(blocks) + " blocks of " + std::to_string(threads) +
              " threads with " + std::to_string(c.shared_bytes) + " bytes of shared memory");
}

}  // namespace

void set_order(std::uint64_t seed) {
  host.seed = seed;
  host.is_seed_set = true;
}

bool toss_coin() { return host.seed != 0 && random_below(2) == 1; }

void run(const Configuration& c, void (*body)(void*), void* arguments) {
  const auto blocks = std::size_t{c.grid.x} * c.grid.y * c.grid.z;
  const auto threads = std::size_t{c.block.x} * c.block.y * c.block.z;
  refuse_what_no_gpu_can_launch(c, blocks, threads);
  if (!host.is_seed_set) {
    const char* seed = std::getenv("PG_EMULATION_SEED");
    set_order(seed ? std::strtoull(seed, nullptr, 10) : 0);
  }
  current = c;
  host.body = body, host.arguments = arguments;
  host.random = host.seed;
  blockDim = c.block, gridDim = c.grid;

  static std::vector<Block> pool;
  const std::size_t at_once = c.cooperative ? blocks : 1;
  if (pool.size() < at_once) pool.resize(at_once);
  try {
    if (c.cooperative) return run_cooperative(pool, blocks, threads);
    for (std::size_t i = 0; i < blocks; ++i) {
      const std::size_t block = host.seed % 2 == 1 ? blocks - 1 - i : i;
      start(pool[0], static_cast<unsigned>(block), 0);
      proceed(pool[0]);
    }
  } catch (...) {
    forget_fiber_stacks(at_once * threads);
    throw;
  }
}

}  // namespace paligemma::emulation
