#!/usr/bin/env bash
# Installs what is missing, builds the program (without kernels for a GPU, which scripts/test.sh builds), and
# asks the model that comes with it one question of each kind. Only questions and answers are on stdout;
# pictures with boxes and masks go to build/demo.
set -euo pipefail
cd "$(dirname "$0")/.."

{
  scripts/install.sh
  cmake --preset cpu
  cmake --build --preset cpu --target paligemma_cli
} >&2
mkdir -p build/demo

ask() {  # PICTURE PROMPT [ANNOTATED PICTURE]
  echo "$2 -> $(build/cpu/paligemma --image "examples/pictures/$1" -p "$2" ${3:+-o "build/demo/$3"})"
}
ask scene.png "caption en"
ask scene.png "answer en what color is the square?"
ask scene.png "detect red circle ; blue square" boxes.png
ask scene.png "segment red circle" mask.png
ask sign.png "ocr"
echo "boxes and masks: build/demo/boxes.png build/demo/mask.png" >&2
