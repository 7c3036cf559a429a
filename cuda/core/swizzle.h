// Where the pieces of a tile's rows stand in shared memory. Included by kernels only.
#pragma once

#include "tensor/host_device.h"

namespace paligemma::cuda {

// A row of 128 bytes takes all 32 banks, so a column of 16-byte pieces would stand in four of them. So
// piece p of row r stands where piece p ^ (r % 8) would: the eight rows that ldmatrix reads at once are
// in different banks. It is also the order that wgmma wants, if the tile starts at a multiple of 1024
// bytes. The place is counted in numbers of 16 bits.
PG_HOST_DEVICE constexpr int swizzle_128(int row, int piece) { return (piece ^ (row % 8)) * 8; }

}  // namespace paligemma::cuda
