#!/usr/bin/env bash
# clang-format over every C++ file, clang-tidy over the product's. Needs scripts/test.sh's build.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh clang clang-format clang-tidy libomp-dev
git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format --dry-run -Werror
cmake --preset clang -DPG_BENCHMARKS=OFF >/dev/null
cmake --build --preset clang --target paligemma_commit
git ls-files '*.cpp' | grep -vE '^(bench|examples|tests|cuda/core)/' |
  xargs -P "$(nproc)" -n 2 clang-tidy -p build/clang --quiet
