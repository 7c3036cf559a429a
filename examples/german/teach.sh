#!/usr/bin/env bash
# Teaches the default model German, which it has never seen, from drawn pictures:
#
#   examples/german/teach.sh FOLDER [LINES [EPOCHS]]
#
# Draws 200 pictures to learn from and 100 to be asked about, each of one shape, writes their lines, and lets the model
# learn them. The vision tower stays as it is: the shapes are known, the words are not.
set -euo pipefail
paligemma=${PALIGEMMA:-"$(dirname "$0")/../../build/cpu/paligemma"}
folder=$1 lines=${2:-200} epochs=${3:-10}
mkdir -p "$folder/pictures"

# NUMBER, a scene's description, and the caption, for every line, the same at every run.
captions() {
  awk -v count="$1" -v seed="$2" 'BEGIN {
    srand(seed)
    split("red orange yellow green blue purple pink black", color)
    split("rot orange gelb grün blau lila rosa schwarz", farbe)
    split("circle square triangle star heart cross", shape)
    split("kreis quadrat dreieck stern herz kreuz", form)
    split("er es es er es es", ending)  # of der Kreis, das Quadrat, ...
    split("small medium large", size)
    for (i = 0; i < count; ++i) {
      c = 1 + int(8 * rand()); s = 1 + int(6 * rand()); z = 1 + int(3 * rand())
      bends = farbe[c] !~ /orange|lila|rosa/
      printf "%d\t%s %s %s @ %d,%d\tein %s%s %s\n", i, size[z] == "medium" ? "" : size[z], color[c], shape[s],
        45 + 134 * rand(), 45 + 134 * rand(), farbe[c], bends ? ending[s] : "", form[s]
    }
  }'
}

write_lines() {  # NAME COUNT SEED
  captions "$2" "$3" | while IFS=$'\t' read -r number scene caption; do
    picture=pictures/$1_$number.png
    "$paligemma" scene "$scene" -o "$folder/$picture" > "$folder/scene.json"
    printf '{"image": "%s", "prefix": "caption de", "suffix": "%s"}\n' "$picture" "$caption"
  done > "$folder/$1.jsonl"
  rm -f "$folder/scene.json"
}

write_lines learned "$lines" 1
write_lines asked 100 2
"$paligemma" finetune --data "$folder/learned.jsonl" --out "$folder/model" --freeze '^vision_tower|^multi_modal' \
  --lr 1e-3 --epochs "$epochs" --log "$folder/log.jsonl" --curve "$folder/curve.svg"
"$paligemma" eval -m "$folder/model" --data "$folder/asked.jsonl"
