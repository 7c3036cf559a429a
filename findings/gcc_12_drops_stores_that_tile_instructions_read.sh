#!/usr/bin/env bash
# g++-12 12.2.0-14+deb12u1, clang-14 1:14.0.6-12 (Debian 12). Measured 2026-11. Needs a C library's headers
# and fresh apt lists; packages are only unpacked. Needs no AMX: what is compiled is not run.
#
# _tile_loadconfig takes a pointer to 64 bytes, the sizes of eight tiles; _tile_loadd a pointer to the rows of one.
# The intrinsics of g++ 12 are asm statements that tell the compiler of 8 bytes of the first and of none of the
# second. So at -O2 stores to the others, made just before, are left out as dead: neither the sizes of a tile nor
# the numbers of its rows are written. clang 14 writes both. An empty asm statement with a memory clobber before the
# intrinsic mends it.
#
# Output seen (how many of the two arguments a function still reads):
#   _tile_loadconfig: g++ 0, with a clobber 2, clang++ 2
#   _tile_loadd: g++ 0, with a clobber 1, clang++ 1
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
(
  cd "$dir"
  apt-get -qq download g++-12=12.2.0-14+deb12u1 cpp-12=12.2.0-14+deb12u1 gcc-12=12.2.0-14+deb12u1 \
    libgcc-12-dev=12.2.0-14+deb12u1 clang-14=1:14.0.6-12 libclang-common-14-dev=1:14.0.6-12 \
    libclang-cpp14=1:14.0.6-12 libllvm14=1:14.0.6-12
  for package in *.deb; do dpkg -x "$package" root; done
)
gcc=$dir/root/usr/bin/g++-12
clang=$dir/root/usr/lib/llvm-14/bin/clang++
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu:$dir/root/usr/lib/llvm-14/lib
cat >"$dir/tiles.cpp" <<'C'
#include <immintrin.h>
#ifdef CLOBBER
#define BEFORE asm volatile("" ::: "memory")
#else
#define BEFORE
#endif
struct alignas(64) Config {
  unsigned char palette = 1, start_row = 0, reserved[14] = {};
  unsigned short colsb[16] = {};
  unsigned char rows[16] = {};
};
extern "C" void configure(int colsb, int rows) {
  Config c;
  c.colsb[0] = static_cast<unsigned short>(colsb);
  c.rows[0] = static_cast<unsigned char>(rows);
  BEFORE;
  _tile_loadconfig(&c);
}
extern "C" void fill(int number) {
  alignas(64) int tile[256];
  for (int& n : tile) n = number;
  BEFORE;
  _tile_loadd(0, tile, 64);
}
C
# read FUNCTION COMPILER...: how many of its argument registers the function reads
read_by() {
  local function=$1
  shift
  "$@" -O2 -mamx-tile -S -o "$dir/tiles.s" "$dir/tiles.cpp"
  sed -n "/^$function:/,/cfi_endproc/p" "$dir/tiles.s" >"$dir/body"
  local count=0
  if grep -qE '%(edi|di|dil|rdi)\b' "$dir/body"; then count=$((count + 1)); fi
  if grep -qE '%(esi|si|sil)\b' "$dir/body"; then count=$((count + 1)); fi
  echo "$count"
}
ok=1
for function in configure fill; do
  plain=$(read_by "$function" "$gcc")
  clobbered=$(read_by "$function" "$gcc" -DCLOBBER)
  other=$(read_by "$function" "$clang")
  name=_tile_loadconfig wanted=2
  [ "$function" = configure ] || name=_tile_loadd wanted=1
  echo "$name: g++ $plain, with a clobber $clobbered, clang++ $other"
  [ "$plain,$clobbered,$other" = "0,$wanted,$wanted" ] || ok=0
done
[ "$ok" = 1 ]
