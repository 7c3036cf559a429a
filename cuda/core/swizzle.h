// The 128-byte swizzle of tiles in shared memory. Included by kernels only.
#pragma once

#include "tensor/host_device.h"

namespace paligemma::cuda {

// A row of 128 bytes covers all 32 banks, so the same 16-byte piece of every row lies in the same four
// banks. The swizzle stores piece p of row r in the place of piece p ^ (r % 8): then the eight rows that
// ldmatrix reads at once lie in different banks. wgmma reads this order too, if the tile starts at a
// multiple of 1024 bytes. Returns an offset in numbers of 16 bits.
PG_HOST_DEVICE constexpr int swizzle_128(int row, int piece) { return (piece ^ (row % 8)) * 8; }

}  // namespace paligemma::cuda
