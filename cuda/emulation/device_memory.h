// What is known of each piece of device memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace paligemma::emulation {

inline constexpr std::size_t kMostBytes = std::size_t{1} << 40;  // no GPU has more
inline constexpr std::size_t kGuardBytes = 256;                  // before and behind each piece

struct Allocation {
  std::uintptr_t begin;
  std::size_t bytes;
  std::vector<bool> written;  // each byte; empty where kernels are not checked
};
using Allocations = std::map<std::uintptr_t, Allocation>;  // by where they begin

Allocations& allocations();

// The piece that the address lies in, or beside; null for the host's memory.
Allocation* allocation_near(std::uintptr_t address);

void* allocate(std::size_t bytes);                    // null if there is no room
bool release(void* p);                                // false if it is not the beginning of a piece
void mark_written(const void* p, std::size_t bytes);  // by a copy or a fill

}  // namespace paligemma::emulation
