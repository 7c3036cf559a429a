#!/usr/bin/env bash
# clang-format over every C++ and CUDA file, clang-tidy over the product's. Needs scripts/test.sh's
# build.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh clang clang-format clang-tidy libomp-dev
git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format --dry-run -Werror
cmake --preset clang >/dev/null
cmake --build --preset clang --target paligemma_commit
git ls-files '*.cpp' | grep -vE '^(bench|examples|tests|cuda/core)/' |
  xargs -P "$(nproc)" -n 2 clang-tidy -p build/clang --quiet

# Kernels as the emulation has them, and, where there is a CUDA, what calls its runtime.
cuda=${CUDA_HOME:-/usr/local/cuda}/include
{
  git ls-files 'cuda/*.cu' cuda/core/arena.cpp
  if [[ -e $cuda/cuda_runtime.h ]]; then git ls-files 'cuda/core/*.cpp' ':!cuda/core/arena.cpp'; fi
} | xargs -P "$(nproc)" -I{} clang-tidy --quiet {} -- -x c++ -std=c++20 -I. -isystem "$cuda"
