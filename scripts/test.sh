#!/usr/bin/env bash
# Installs what is missing, builds everything, and runs every test.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh
cmake --preset cpu
cmake --build --preset cpu
ctest --preset cpu --parallel "$(nproc)" "$@"
