#!/usr/bin/env bash
# examples/german/teach.sh with half of its lines: the words of most captions are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
PALIGEMMA=$1 "$(dirname "$0")/../examples/german/teach.sh" "$folder" 100 15 | tee "$folder/said"
exact=$(awk '/^exact/ { print $2 }' "$folder/said")
awk "BEGIN { exit !($exact >= 0.6) }"
