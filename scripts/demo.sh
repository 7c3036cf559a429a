#!/usr/bin/env bash
# Installs what is missing, builds the program, and captions a picture. Only the answer is on stdout.
set -euo pipefail
cd "$(dirname "$0")/.."

{
  scripts/install.sh
  cmake --preset cpu
  cmake --build --preset cpu --target paligemma_cli
} >&2
build/cpu/paligemma caption examples/pictures/scene.png
