#!/usr/bin/env bash
# Builds and runs examples/library twice: with the library as installed into a folder of its own, and with
# its sources below a project that adds both. Needs scripts/test.sh's build.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install build/cpu --prefix "$prefix" >/dev/null
cmake -S examples/library -B "$prefix/example" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build "$prefix/example"
"$prefix/example/caption" "$prefix/share/paligemma/models/tiny" examples/pictures/scene.png
for device in cpu emulated; do
  "$prefix/bin/paligemma" caption examples/pictures/scene.png --device "$device"
done

# Nothing of that project changes. The flags are build/cpu's, so that ccache has all objects.
cat >"$prefix/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(outer LANGUAGES CXX)
get_cmake_property(before VARIABLES)
add_subdirectory($PWD paligemma)
get_cmake_property(after VARIABLES)
list(REMOVE_ITEM after \${before} before)
list(FILTER after INCLUDE REGEX "^CMAKE_(BUILD|CUDA|CXX)")
if(after OR TARGET paligemma_cli OR TARGET gemma_rms_norm_test OR TARGET gemma_rms_norm_bench)
  message(FATAL_ERROR "More than a library: \${after}")
endif()
add_subdirectory($PWD/examples/library caption)
END
warnings=$(sed -n 's/^CMAKE_COMPILE_WARNING_AS_ERROR:/-D&/p' build/cpu/CMakeCache.txt)
cmake --fresh -S "$prefix" -B build/example -G Ninja -DCMAKE_BUILD_TYPE=Release $warnings >/dev/null
cmake --build build/example
build/example/caption/caption models/tiny examples/pictures/scene.png
