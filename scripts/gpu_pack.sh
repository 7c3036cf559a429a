#!/usr/bin/env bash
# Packs what a machine with a GPU needs to test and measure the kernels, which need not have a compiler,
# packages or a network: the programs, the libraries they need but for libc, and the files that tests
# read. Then, there: scripts/gpu_run.sh. Needs a build with an nvcc.
#
#   scripts/gpu_pack.sh [build/cpu]      build/gpu-pack/ and the same as build/gpu-pack.tar.gz
set -euo pipefail
cd "$(dirname "$0")/.."

build=${1:-build/cpu}
pack=build/gpu-pack
most_mib=60

shopt -s nullglob
programs=("$build"/tests/gpu_*_test "$build"/bench/cuda_*_bench)
[ ${#programs[@]} -gt 0 ] || { echo "$build holds no program for a GPU: was there an nvcc?" >&2; exit 1; }
programs+=("$build"/paligemma{,_cuda})  # the first goes on as the second

rm -rf "$pack" "$pack.tar.gz"
mkdir -p "$pack"/{bin,lib,scripts,tools,tests,models,examples}
for program in "${programs[@]}"; do
  strip -o "$pack/bin/$(basename "$program")" "$program"
done

# Every library that is not libc's own. libcudart is inside of the programs, the driver's library is
# the driver's, and cuBLASLt, which is large and only measured against, is looked for over there.
for program in "${programs[@]}"; do ldd "$program"; done | awk '$2 == "=>" { print $3 }' | sort -u |
  grep -vE '/(libc|libm|libdl|libpthread|librt|ld-linux[^/]*)\.so[^/]*$' |
  while read -r library; do
    strip --strip-unneeded -o "$pack/lib/$(basename "$library")" "$library"
  done

cp -r tests/golden "$pack/tests/"
cp -r models/tiny "$pack/models/"
cp -r examples/pictures "$pack/examples/"
cp scripts/gpu_run.sh "$pack/scripts/"
cp tools/gpu_table.py "$pack/tools/"
changed=$(git status --porcelain --untracked-files=no | grep -q . && echo ", changed" || true)
echo "$(git rev-parse --short=12 HEAD)$changed" > "$pack/COMMIT"

tar -czf "$pack.tar.gz" -C build gpu-pack
mib() { echo $(($(du -sk --apparent-size "$1" | cut -f1) / 1024 + 1)); }
echo "$pack: ${#programs[@]} programs, $(mib "$pack") MiB; $pack.tar.gz: $(mib "$pack.tar.gz") MiB"
[ "$(mib "$pack.tar.gz")" -le $most_mib ] || { echo "more than $most_mib MiB" >&2; exit 1; }
