#!/usr/bin/env bash
# tests/builds_test.sh COMPILER: how people build this, in copies of the sources that are configured and not built.
set -euo pipefail
cd "$(dirname "$0")/.."

compiler=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources=$work/outer/paligemma
mkdir -p "$sources"
git ls-files --cached --others --exclude-standard | while read -r name; do
  [ ! -f "$name" ] || echo "$name"
done | tar -c -T - | tar -x -C "$sources"

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

# Among the sources.
said=$(cmake -S "$sources" -B "$sources" 2>&1) && fail 'configures among the sources'
[[ $said == *'cmake --preset cpu'* ]] || fail "among the sources: $said"
rm -rf "$sources/CMakeCache.txt" "$sources/CMakeFiles"

# Sources without a repository of their own, in one of somebody else; a git hook there sets GIT_DIR.
commit_of() {
  "$@" cmake -DSOURCE_DIR="$sources" -DOUTPUT="$work/commit.h" -P "$sources/cmake/commit.cmake"
  cut -d '"' -f 2 -s "$work/commit.h"
}
git init -q "$work/outer"
git -C "$work/outer" -c user.name=A -c user.email=a@b commit -q --allow-empty -m 'Not ours'
[ "$(commit_of env)" = unknown ] || fail "inside another repository it is at $(commit_of env)"
[ "$(commit_of env GIT_DIR="$work/outer/.git")" = unknown ] || fail 'with GIT_DIR it is at the commit of another'
git init -q "$sources"
git -C "$sources" -c user.name=A -c user.email=a@b commit -q --allow-empty -m 'Ours'
ours=$(git -C "$sources" rev-parse HEAD)
[[ $(commit_of env GIT_DIR="$work/outer/.git") == "${ours:0:12}"* ]] || fail 'it is not at its own commit'

# Below a project that wants fast mathematics and link-time optimisation, and has neither GTest nor benchmark.
cat >"$work/outer/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(outer LANGUAGES CXX)
set(CMAKE_DISABLE_FIND_PACKAGE_GTest ON)
set(CMAKE_DISABLE_FIND_PACKAGE_benchmark ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
add_compile_options(-funsafe-math-optimizations)
add_subdirectory(paligemma)
END
cmake -S "$work/outer" -B "$work/build" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_CXX_FLAGS='-ffast-math -flto' -DCMAKE_BUILD_TYPE=Release >"$work/log" 2>&1 || fail "$(cat "$work/log")"
python3 - "$compiler" "$work/build/compile_commands.json" <<'END' || fail 'its flags come through'
import json
import shlex
import subprocess
import sys

compiler, commands = sys.argv[1:]
seen = set()
for entry in json.load(open(commands)):
    flags = tuple(word for word in shlex.split(entry["command"]) if word.startswith(("-f", "-O")))
    if flags in seen:
        continue
    seen.add(flags)
    heard = {"-ffast-math", "-funsafe-math-optimizations", "-flto"} <= set(flags)
    macros = subprocess.run([compiler, *flags, "-dM", "-E", "-x", "c++", "/dev/null"], capture_output=True,
                            text=True, check=True).stdout
    exact = "__FAST_MATH__" not in macros and "__FINITE_MATH_ONLY__ 0" in macros
    linked = [flag for flag in flags if "-flto" in flag or "-fno-lto" in flag][-1] != "-fno-lto"
    if not heard or not exact or linked:
        sys.exit(entry["command"])
END

# By itself, without its tests. Linking with -ffast-math would have every thread take denormals for zero.
cmake -S "$sources" -B "$work/alone" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DPG_CUDA=OFF -DPG_TESTS=OFF \
  -DPG_BENCHMARKS=OFF -DCMAKE_CXX_FLAGS=-Ofast -DCMAKE_DISABLE_FIND_PACKAGE_GTest=ON -DCMAKE_DISABLE_FIND_PACKAGE_benchmark=ON \
  >"$work/log" 2>&1 || fail "$(cat "$work/log")"
exact=' -O2 -fno-fast-math -fno-unsafe-math-optimizations'
grep -q "^  LINK_FLAGS =.*$exact" "$work/alone/build.ninja" || fail 'links with -Ofast'
! grep '^  LINK_FLAGS =' "$work/alone/build.ninja" | grep -v -e "$exact" || fail 'links some with -Ofast'
