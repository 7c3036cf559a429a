#include "fast/core/workspace.h"

#include <sys/mman.h>

#include <new>

namespace paligemma {

void* Workspace::scratch(int thread, Scratch purpose, std::size_t bytes) {
  Block& block = blocks_[static_cast<std::size_t>(thread)][static_cast<std::size_t>(purpose)];
  if (block.bytes < bytes) {
    // A panel must lie in one piece: of small pages, chance decides which push one another out of the cache
    // (up to 7 % of a picture's time, the same as long as the program runs).
    constexpr std::size_t kHugePage = std::size_t{2} << 20, kPanel = std::size_t{64} << 10;
    const std::size_t unit = bytes < kPanel ? 4096 : kHugePage;
    const std::size_t whole = (bytes + unit - 1) / unit * unit;
    void* const memory = whole < bytes ? nullptr : std::aligned_alloc(unit, whole);
    if (memory == nullptr) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    if (unit == kHugePage) madvise(memory, whole, MADV_HUGEPAGE);
#endif
    block.memory.reset(memory);
    block.bytes = whole;
  }
  return block.memory.get();
}

}  // namespace paligemma
