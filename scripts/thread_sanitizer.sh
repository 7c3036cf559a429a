#!/usr/bin/env bash
# Runs under the thread sanitizer what has threads: the tests of the fast versions, in which pipelines answer
# side by side, and those of the engine. Takes two processors a quarter of an hour.
#
# Threads of fast/core/threads.h need nothing for this. The reference that they are compared with, the loader and
# the mask decoder use OpenMP: it must be clang's, whose tool Archer tells the sanitizer where its threads
# wait for one another.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh clang libomp-dev
cmake --preset tsan
mapfile -t tests < <(cd tests && find fast engine -name '*_test.cpp' | sed 's|\.cpp$||; s|/|_|g' | sort)
cmake --build --preset tsan --target "${tests[@]}"

archer=$(find /usr/lib/llvm-*/lib -name libarcher.so | sort | tail -n 1)
export OMP_TOOL_LIBRARIES=$archer OMP_NUM_THREADS=4 OMP_WAIT_POLICY=passive
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1 allocator_may_return_null=1"
# Answers about scenes are a matter of rounding, and proofs of kernels have one thread and ten seconds.
skipped='Scene/*:KernelCheck*:ProvenKernels*:*.SaysWhichKernelsFailed'
for test in "${tests[@]}"; do
  "build/tsan/tests/$test" --gtest_brief=1 --gtest_filter="-$skipped"
done
