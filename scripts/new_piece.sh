#!/usr/bin/env bash
# A new piece, which stands behind another in the reading order:
#
#   scripts/new_piece.sh leaf gemma/swiglu gemma/geglu
#
# Its kind is leaf, composite or host (CMakeLists.txt says what each has), its files are those of
# scripts/new_piece/KIND. They compile, and say TODO: its first test fails, and tests/repository_test.py
# refuses it, until each is done. Exits 2, and changes nothing, if there can be no such piece.
set -euo pipefail
cd "$(dirname "$0")/.."

refuse() {
  echo "new_piece.sh: $*" >&2
  exit 2
}

[ $# -eq 3 ] || refuse "usage: scripts/new_piece.sh leaf|composite|host FOLDER/NAME BEHIND_WHICH_PIECE"
kind=$1 path=$2 before=$3
[[ $kind =~ ^(leaf|composite|host)$ ]] || refuse "\"$kind\" is not leaf, composite or host"
[[ $path =~ ^[a-z]+/[a-z][a-z0-9_]*$ ]] || refuse "\"$path\" is not FOLDER/NAME in small letters"
folder=${path%/*} name=${path##*/}

mapfile -t pieces < <(sed -nE 's|^pg_piece\(\w+ +([a-z0-9_/]+)\).*|\1|p' CMakeLists.txt)
folders=$(printf '%s\n' "${pieces[@]%%/*}" | sort -u | xargs)
[[ " $folders " == *" $folder "* ]] || refuse "$folder/ holds no pieces; these do: $folders"
after='' found=no
for piece in "${pieces[@]}"; do
  [ "$piece" != "$path" ] || refuse "the piece $path is there already"
  if [ $found = yes ] && [ -z "$after" ]; then after=$piece; fi
  if [ "$piece" = "$before" ]; then found=yes; fi
done
[ $found = yes ] || refuse "$before is no piece of CMakeLists.txt"

templates=scripts/new_piece/$kind
mapfile -t files < <(cd "$templates" && find . -type f -printf '%P\n' | sort)
place_of() {  # of a template, without its .in
  local file=${1%.in}
  echo "${file/piece/$path}"
}
for file in "${files[@]}"; do
  [ ! -e "$(place_of "$file")" ] || refuse "$(place_of "$file") is there already"
done

# Its files.
link() {  # FROM TO, for the page of the one
  local up=''
  [ "${1%/*}" = "${2%/*}" ] || up=../${2%/*}/
  echo "[${2##*/}]($up${2##*/}.md)"
}
title=${name//_/ } scope=
namespace=paligemma
if [ "$folder" = world ] || [[ $kind/$folder =~ ^composite/(colpali|gemma|siglip|zeta)$ ]]; then
  namespace=paligemma::$folder scope=$folder::
fi
type=$(sed -E 's/(^|_)(.)/\U\2/g' <<<"$name")
next=$(sed -nE 's|^// (.*\. )?Read next: ([a-z0-9_/]+\.[a-z]+)\.$|\2|p' "$before.h")
link_after=–
[ -z "$after" ] || link_after=$(link "$path" "$after")
written=()
for file in "${files[@]}"; do
  to=$(place_of "$file")
  mkdir -p "$(dirname "$to")"
  sed -e "s|@path@|$path|g; s|@target@|${path//\//_}|g; s|@name@|$name|g; s|@Name@|$type|g" \
    -e "s|@title@|${title^}|g; s|@namespace@|$namespace|g; s|@scope@|$scope|g; s|@next@|$next|g" \
    -e "s|@before@|$(link "$path" "$before")|; s|@after@|$link_after|" "$templates/$file" >"$to"
  written+=("$to")
done
if command -v clang-format >/dev/null; then  # a long name may need another line
  printf '%s\n' "${written[@]}" | grep -E '\.(h|cpp)$' | xargs clang-format -i
fi

# Its place: in CMakeLists.txt behind all that is said of the piece before it, in docs/README.md with a
# number, and with its neighbours.
replace() {  # FILE AWK_ARGUMENTS...
  local text
  text=$(awk "${@:2}" "$1")
  printf '%s\n' "$text" >"$1"
}
# shellcheck disable=SC2016  # awk's fields
replace CMakeLists.txt -v before="$before)" -v line="$(printf 'pg_piece(%-9s %s)' "$kind" "$path")" '
  is_behind && (/^pg_piece\(/ || /^$/) { print line; is_behind = 0 }
  /^pg_piece\(/ && $2 == before { is_behind = 1 }
  { print }'

code="[.h](../$path.h)" bench=''
[ "$kind" = composite ] || code+=" [.cpp](../$path.cpp)"
[ "$kind" != leaf ] || bench="[bench](../bench/${path}_bench.cpp)"
row="| [$path]($path.md) | TODO: what it does | $code | [test](../tests/${path}_test.cpp) | $bench |"
# shellcheck disable=SC2016
replace docs/README.md -v before="| [$before](" -v row="$row" '
  /^\| [0-9]+ \| \[/ { sub(/[0-9]+/, ++n) }
  { print }
  index($0, before) { print "| " ++n " " row }'

sed -i -E "s#(^\| Before / after \| .*) / .* \|\$#\1 / $(link "$before" "$path") |#" "docs/$before.md"
[ -z "$after" ] ||
  sed -i -E "s#^(\| Before / after \| ).* / (.* \|)\$#\1$(link "$after" "$path") / \2#" "docs/$after.md"
sed -i -E "s#^(// (.*\. )?Read next: )[a-z0-9_/]+\.[a-z]+\.\$#\1$path.h.#" "$before.h"

printf '%s\n' "${written[@]}"
echo "CONTRIBUTING.md says what comes next. Its tests: cmake --build --preset cpu --target check_${path//\//_}"
