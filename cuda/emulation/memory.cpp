// Memory of the emulated device: the host's, with poison in it and room around it that must not be
// touched.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <utility>

#include "cuda/emulation/block.h"
#include "cuda/emulation/device_memory.h"
#include "cuda/emulation/sanitizer.h"

namespace paligemma::emulation {

Text describe(const Site& s) {
  const char* slash = std::strrchr(s.file, '/');
  Text text;
  std::snprintf(text.characters, sizeof text.characters, "%s:%u", slash ? slash + 1 : s.file,
                s.line);
  return text;
}

Text describe(const char* what, uint3 i) {
  Text text;
  std::snprintf(text.characters, sizeof text.characters, "%s (%u,%u,%u)", what, i.x, i.y, i.z);
  return text;
}

void* dynamic_shared_memory(std::size_t need, std::size_t alignment) {
  if (need > current.shared_bytes) {
    fail("the kernel wants %zu bytes of dynamic shared memory, its launch gave %zu", need,
         current.shared_bytes);
  }
  if (alignment > 1024) fail("dynamic shared memory is not aligned to %zu bytes", alignment);
  return self->block->shared.get();
}

Allocations& allocations() {
  static Allocations all;
  return all;
}

Allocation* allocation_near(std::uintptr_t address) {
  Allocations& all = allocations();
  auto next = all.upper_bound(address + kGuardBytes);
  if (next == all.begin()) return nullptr;
  Allocation& a = std::prev(next)->second;
  return address < a.begin + a.bytes + kGuardBytes ? &a : nullptr;
}

void mark_written(const void* p, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  if (Allocation* a = is_checked() ? allocation_near(address) : nullptr) {
    std::fill_n(a->written.begin() + static_cast<std::ptrdiff_t>(address - a->begin), bytes, true);
  }
}

void* allocate(std::size_t bytes) {
  if (bytes > kMostBytes) return nullptr;
  const std::size_t room = (bytes + 255) / 256 * 256 + 2 * kGuardBytes;
  auto* p = static_cast<char*>(std::aligned_alloc(256, room));
  if (p == nullptr) return nullptr;
  char* begin = p + kGuardBytes;
  std::memset(begin, kPoison, bytes);
  forbid(p, kGuardBytes);
  forbid(begin + bytes, room - kGuardBytes - bytes);
  Allocation a{reinterpret_cast<std::uintptr_t>(begin), bytes, {}};
  if (is_checked()) a.written.resize(bytes);
  allocations().emplace(a.begin, std::move(a));
  return begin;
}

bool release(void* p) {
  if (p == nullptr) return true;
  if (allocations().erase(reinterpret_cast<std::uintptr_t>(p)) == 0) return false;
  std::free(static_cast<char*>(p) - kGuardBytes);
  return true;
}

}  // namespace paligemma::emulation
