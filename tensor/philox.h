// Philox4x32-10: random numbers as a function of (seed, counter), with no state to carry. Whoever
// asks for the number of step 7 under seed 0 gets the same one, on every machine and executor.
//
// Paper: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3",
// section 3.3 and table 2; the constants are theirs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/host_device.h"

namespace paligemma {

template <int n>
struct PhiloxWords {  // std::array's operator[] is not for the device
  std::uint32_t at[n];

  PG_HOST_DEVICE constexpr std::uint32_t& operator[](std::size_t i) { return at[i]; }
  PG_HOST_DEVICE constexpr std::uint32_t operator[](std::size_t i) const { return at[i]; }
  friend constexpr bool operator==(const PhiloxWords&, const PhiloxWords&) = default;
};
using PhiloxBlock = PhiloxWords<4>;

PG_HOST_DEVICE constexpr PhiloxBlock philox(PhiloxWords<2> key, PhiloxBlock counter) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

// The number of step `step` under `seed`, uniform in [0, 1): a multiple of 2^-24.
PG_HOST_DEVICE constexpr float philox_uniform(std::uint64_t seed, std::uint64_t step) {
  const PhiloxBlock bits =
      philox({static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
             {static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32), 0, 0});
  return static_cast<float>(bits[0] >> 8) * 0x1p-24f;
}

}  // namespace paligemma
