#!/usr/bin/env bash
# tests/new_piece_test.sh COMPILER [--build]: what scripts/new_piece.sh makes, in a copy of the tree.
#
# A piece of each kind compiles; repository_test.py refuses its TODOs, and nothing else; and it refuses
# nothing once they are gone. With --build (scripts/check_all.sh) the copy is configured too, and each new
# piece is built and tested: its first test fails.
set -euo pipefail
cd "$(dirname "$0")/.."

compiler=$1
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files --cached --others --exclude-standard | while read -r name; do
  [ ! -f "$name" ] || echo "$name"
done | tar -c -T - | tar -x -C "$copy"
cd "$copy"
git init -q
git add -A

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

# Refused in one line, and nothing is changed.
refuses() {  # WHAT_IT_SAYS ARGUMENTS...
  local said status=0
  said=$(scripts/new_piece.sh "${@:2}" 2>&1) || status=$?
  [ $status -eq 2 ] || fail "exit $status: new_piece.sh ${*:2}"
  [[ $said == *"$1"* && $said != *$'\n'* ]] || fail "new_piece.sh ${*:2} says: $said"
}
refuses usage leaf gemma/new
refuses 'not leaf, composite or host' kernel gemma/new gemma/geglu
refuses 'not FOLDER/NAME' leaf gemma/New gemma/geglu
refuses 'not FOLDER/NAME' leaf gemma/new/newer gemma/geglu
refuses 'cuda/ holds no pieces' leaf cuda/new gemma/geglu
refuses 'gemma/none is no piece' leaf gemma/new gemma/none
refuses 'gemma/rms_norm is there already' leaf gemma/rms_norm gemma/geglu
name=new
touch "docs/gemma/$name.md"
refuses "docs/gemma/$name.md is there already" leaf gemma/$name gemma/geglu
rm "docs/gemma/$name.md"
changed=$(git ls-files --modified --others)
[ -z "$changed" ] || fail "a refused piece changes $changed"

# Behind a piece of another folder, behind one of which CMakeLists.txt says more, and behind the last.
last=$(sed -nE 's|^pg_piece\(\w+ +([a-z0-9_/]+)\).*|\1|p' CMakeLists.txt | tail -1)
made=$(
  scripts/new_piece.sh leaf gemma/a_new_leaf gemma/geglu
  scripts/new_piece.sh composite siglip/a_new_composite tensor/linear
  scripts/new_piece.sh host world/a_new_host "$last"
)
mapfile -t files < <(grep _new_ <<<"$made" | grep -v ' ')
[ ${#files[@]} -eq 14 ] || fail "made ${#files[@]} files"
compilations=()
for source in $(printf '%s\n' "${files[@]}" | grep '\.cpp$'); do
  "$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion -Wshadow \
    -Werror -I. "$source" &
  compilations+=($!)
done

refused=$(python3 tests/repository_test.py) && fail 'repository_test.py has nothing against a TODO'
if grep -v TODO <<<"$refused" >&2; then fail 'repository_test.py refuses more than TODOs'; fi
for file in "${files[@]}" docs/README.md; do
  grep -q "^$file:[0-9]*: .*TODO" <<<"$refused" || fail "repository_test.py does not refuse $file"
done
sed -i 's/TODO/done/g' "${files[@]}" docs/README.md
python3 tests/repository_test.py || fail 'repository_test.py refuses a piece without TODOs'

for compilation in "${compilations[@]}"; do
  wait "$compilation" || fail 'a new piece does not compile'
done

[ "${2-}" = --build ] || exit 0
cmake --preset cpu -DPG_CUDA=OFF -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_COMPILE_WARNING_AS_ERROR=ON
for piece in gemma_a_new_leaf siglip_a_new_composite world_a_new_host; do
  cmake --build --preset cpu --target ${piece}_test
  tested=$(cmake --build --preset cpu --target check_$piece) && fail "check_$piece passes, and nothing is written"
  grep -q '1 tests failed out of' <<<"$tested" || fail "check_$piece says: $tested"
done
cmake --build --preset cpu --target gemma_a_new_leaf_bench
