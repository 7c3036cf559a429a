#!/usr/bin/env bash
# Writes a random PaliGemma 3B (bf16), asks it for four tokens, and checks that the memory
# in use stayed below the file's size plus 1 GiB.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh time
model=build/random-3b
[ -f "$model/tokenizer.model" ] ||
  build/cpu/paligemma init paligemma-3b-224 "$model" --tokenizer models/tiny/tokenizer.model
/usr/bin/time -f '%M KiB resident at most, %e s' -o build/random-3b.time \
  build/cpu/paligemma -m "$model" --image examples/pictures/scene.png -p "caption en" -n 4 --json
cat build/random-3b.time
files=$(du -ck "$model"/*.safetensors | tail -1 | cut -f1)
used=$(cut -d' ' -f1 build/random-3b.time)
[ "$used" -le $((files + 1024 * 1024)) ]
