#!/usr/bin/env bash
# scripts/fuzz.sh SECONDS: feeds broken files, tokenizers, prompts, scenes and pictures to their readers for so
# long in total. A finding ends it with an error and leaves the input in build/fuzz/findings/.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?usage: scripts/fuzz.sh SECONDS}
targets=(safetensors checkpoint keras npz config tokenizer prompt scene job image jpeg jpeg_stb webp orientation bmp gif png pnm tga)
each=$(((seconds + ${#targets[@]} - 1) / ${#targets[@]}))

scripts/install.sh clang libomp-dev
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target fuzz_targets
mkdir -p build/fuzz/findings
for target in "${targets[@]}"; do
  echo "== $target, $each s"
  found=build/fuzz/corpus/$target  # what earlier runs have learnt
  mkdir -p "$found"
  seeds=(tests/fuzz/corpus/"$target")
  case $target in
    image) seeds=(tests/data/pictures tests/fuzz/corpus/{bmp,gif,png,pnm,tga}) ;;
    orientation) seeds+=(tests/data/pictures) ;;
    jpeg | jpeg_stb) seeds=(tests/fuzz/corpus/jpeg tests/data/pictures/jpeg) ;;
    webp) seeds=(tests/data/pictures/webp) ;;
  esac
  # A picture may have 178 million pixels, so readers of them may take more memory than the others.
  memory=1024
  [[ $target =~ ^(image|webp|bmp|gif|png|pnm|tga)$ ]] && memory=4096
  build/fuzz/fuzz/"${target}_fuzz" "$found" "${seeds[@]}" -max_total_time="$each" -timeout=100 \
    -rss_limit_mb="$memory" -malloc_limit_mb=3072 -max_len=8192 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/findings/$target-" 2>&1 |
    grep -vE '^#[0-9]+.*(REDUCE|NEW|pulse)|NEW_FUNC' # keep what matters
done
