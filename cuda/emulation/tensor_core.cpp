#include "cuda/emulation/tensor_core.h"

#include <algorithm>
#include <utility>

#include "cuda/emulation/block.h"
#include "cuda/emulation/language.h"

namespace paligemma::emulation {
namespace {

unsigned long bank_conflicts = 0;

float first_of(unsigned pair) { return __builtin_bit_cast(float, pair << 16); }
float second_of(unsigned pair) { return __builtin_bit_cast(float, pair & 0xffff'0000u); }

}  // namespace

unsigned long take_ldmatrix_conflicts() { return std::exchange(bank_conflicts, 0); }

// ---- ldmatrix -------------------------------------------------------------------------------------

void ldmatrix(unsigned* registers, unsigned count, bool transposed, const void* row,
              const Site& where) {
  struct Slot {
    const unsigned short* row;
    unsigned* r;
    unsigned count;
    bool transposed;
  } slot{static_cast<const unsigned short*>(row), registers, count, transposed};
  if (lane() < 8 * count) {
    need_aligned("ldmatrix", row, where);
    touch(row, 16, Touch::read, {nullptr, where});
  }
  const auto act = [](void* const slots[32], unsigned lanes) {
    if (lanes != ~0u) fail("ldmatrix needs all 32 lanes");
    const auto at = [&](unsigned i) -> const Slot& { return *static_cast<Slot*>(slots[i]); };

    // A row of 16 bytes is an eighth of the 32 banks. Each further row in the same costs a cycle.
    for (unsigned m = 0; m < at(0).count; ++m) {
      unsigned banks = 0;
      for (unsigned r = 0; r < 8; ++r) {
        banks |= 1u << (reinterpret_cast<std::uintptr_t>(at(8 * m + r).row) / 16 % 8);
      }
      bank_conflicts += 8 - static_cast<unsigned>(__builtin_popcount(banks));
    }
    for (unsigned i = 0; i < 32; ++i) {
      const unsigned r = i / 4, c = i % 4 * 2;
      for (unsigned m = 0; m < at(i).count; ++m) {
        const unsigned pair[2] = {
            at(i).transposed ? at(8 * m + c).row[r] : at(8 * m + r).row[c],
            at(i).transposed ? at(8 * m + c + 1).row[r] : at(8 * m + r).row[c + 1]};
        at(i).r[m] = pair[0] | pair[1] << 16;
      }
    }
  };
  warp_meet(~0u, transposed ? "ldmatrix.trans" : "ldmatrix", &slot, act, where);
}

// ---- mma.sync -------------------------------------------------------------------------------------

// Lane i holds, with g = i / 4 and t = i % 4 * 2 (PTX ISA, "Matrix Fragments for mma.m16n8k16"):
//   a[0]: row g, columns t, t+1;  a[1]: row g+8;  a[2], a[3]: the same rows, columns t+8, t+9
//   b[0]: rows t, t+1 of column g;  b[1]: rows t+8, t+9
//   d[0], d[1]: row g, columns t, t+1;  d[2], d[3]: row g+8
// The sums are exact up to their last rounding; a GPU cuts off low bits of the addends, so compare
// with a tolerance.
void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const Site& where) {
  struct Slot {
    float* d;
    const unsigned *a, *b;
  } slot{d, a, b};
  const auto act = [](void* const slots[32], unsigned lanes) {
    if (lanes != ~0u) fail("mma.sync needs all 32 lanes");
    double A[16][16], B[16][8], D[16][8];
    for (int i = 0; i < 32; ++i) {
      const Slot& s = *static_cast<Slot*>(slots[i]);
      const int g = i / 4, t = i % 4 * 2;
      for (int r = 0; r < 4; ++r) {
        double* const to = &A[g + r % 2 * 8][t + r / 2 * 8];
        to[0] = first_of(s.a[r]), to[1] = second_of(s.a[r]);
        D[g + r / 2 * 8][t + r % 2] = s.d[r];
      }
      for (int r = 0; r < 2; ++r) {
        B[t + r * 8][g] = first_of(s.b[r]), B[t + r * 8 + 1][g] = second_of(s.b[r]);
      }
    }
    for (int r = 0; r < 16; ++r) {
      for (int k = 0; k < 16; ++k) {
        for (int c = 0; c < 8; ++c) D[r][c] += A[r][k] * B[k][c];
      }
    }
    for (int i = 0; i < 32; ++i) {
      for (int r = 0; r < 4; ++r) {
        static_cast<Slot*>(slots[i])->d[r] =
            static_cast<float>(D[i / 4 + r / 2 * 8][i % 4 * 2 + r % 2]);
      }
    }
  };
  warp_meet(~0u, "mma.sync", &slot, act, where);
}

// ---- wgmma ----------------------------------------------------------------------------------------

std::uint64_t wgmma_tile(const void* tile, const Site& where) {
  const auto at =
      static_cast<std::size_t>(static_cast<const char*>(tile) - self->block->shared.get());
  if (at >= current.shared_bytes || at % 1024 != 0) {
    fail("wgmma (%s): the tile is not at a multiple of 1024 bytes of dynamic shared memory",
         describe(where).c_str());
  }
  return at / 16;  // adding 2 to it moves on by 16 columns, as on the GPU
}

void fence_proxy_async() {
  if (self->has_unfenced_copies) --self->block->unfenced;
  self->has_unfenced_copies = false;
}

void wgmma_fence() { self->may_multiply = true; }

// Each lane computes its own part of the result, as late as it may: when it waits. With w the warp
// in the warpgroup, g = lane / 4 and t = lane % 4 * 2, it has
//   d[4j], d[4j+1]: row 16w+g, columns 8j+t, 8j+t+1;  d[4j+2], d[4j+3]: row 16w+g+8
void wgmma_bf16(float* d, int columns, std::uint64_t a, std::uint64_t b, const Site& where) {
  __syncwarp(~0u, where);
  if (self->block->unfenced > 0) {
    fail("wgmma (%s): %u threads have no fence_proxy_async behind the cp.async they waited for",
         describe(where).c_str(), self->block->unfenced);
  }
  if (!self->may_multiply) fail("wgmma (%s) needs a wgmma_fence", describe(where).c_str());
  self->products.push_back({d, columns, a, b, self->product_group, where});
}

void wgmma_commit() {
  ++self->product_group;
  self->may_multiply = false;
}

namespace {

// 16 numbers of row r of a tile in the 128-byte swizzle.
void read_row(std::uint64_t tile, int r, const Site& where, float (&to)[16]) {
  for (int i = 0; i < 16; i += 8) {
    std::uintptr_t at = tile * 16 + static_cast<unsigned>(r / 8 * 1024 + r % 8 * 128 + i * 2);
    at ^= (at >> 7 & 7) << 4;
    const auto* from = reinterpret_cast<const unsigned short*>(self->block->shared.get() + at);
    touch(from, 16, Touch::read, {nullptr, where});
    for (int k = 0; k < 8; ++k) to[i + k] = first_of(from[k]);
  }
}

void perform(const Product& p) {
  const int row = static_cast<int>(self->warp % 4 * 16 + self->lane / 4);
  const int column = static_cast<int>(self->lane % 4 * 2);
  float a[2][16], b[2][16];
  for (int h = 0; h < 2; ++h) read_row(p.a, row + h * 8, p.where, a[h]);
  for (int c = 0; c < p.columns; c += 8) {
    for (int h = 0; h < 2; ++h) read_row(p.b, c + column + h, p.where, b[h]);
    for (int r = 0; r < 4; ++r) {
      double sum = p.d[c / 2 + r];
      for (int k = 0; k < 16; ++k) sum += double{a[r / 2][k]} * b[r % 2][k];
      p.d[c / 2 + r] = static_cast<float>(sum);
    }
  }
}

}  // namespace

void wgmma_wait(unsigned groups_left) {
  auto& products = self->products;
  const auto first_left = std::find_if(products.begin(), products.end(), [&](const Product& p) {
    return p.group + groups_left >= self->product_group;
  });
  std::for_each(products.begin(), first_left, perform);
  products.erase(products.begin(), first_left);
}

}  // namespace paligemma::emulation
