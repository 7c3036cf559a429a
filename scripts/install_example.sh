#!/usr/bin/env bash
# Installs the library into a folder of its own and builds and runs examples/library against it.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install build/cpu --prefix "$prefix" >/dev/null
cmake -S examples/library -B "$prefix/example" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build "$prefix/example"
"$prefix/example/caption" "$prefix/share/paligemma/models/tiny" examples/pictures/scene.png
"$prefix/bin/paligemma" caption examples/pictures/scene.png
