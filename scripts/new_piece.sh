#!/usr/bin/env bash
# scripts/new_piece.sh gemma/my_piece: the files of a new leaf, copied from gemma/rms_norm.
set -euo pipefail
cd "$(dirname "$0")/.."

path=${1:?usage: scripts/new_piece.sh FOLDER/NAME}
name=${path##*/}
type=$(sed -E 's/(^|_)(.)/\U\2/g' <<<"$name")
for file in {.h,.cpp} tests/:_test.cpp bench/:_bench.cpp docs/:.md diagrams/:.svg tests/mutations/:.txt; do
  case $file in
    .*) from=gemma/rms_norm$file to=$path$file ;;
    *) from=${file/:/gemma\/rms_norm} to=${file/:/$path} ;;
  esac
  [ ! -e "$to" ] || { echo "$to is there already" >&2; exit 1; }
  mkdir -p "$(dirname "$to")"
  sed -e "s#gemma/rms_norm#$path#g; s#rms_norm#$name#g; s#RmsNorm#$type#g" "$from" >"$to"
  echo "$to"
done
echo "Now add to CMakeLists.txt, at its place in the reading order:  pg_piece(leaf $path)"
