#!/usr/bin/env bash
# x-transformers 1.19.0 (which zetascale 2.8.8 contains, as zeta.structs.transformer), 1.27.20; torch 2.13.0.
# Measured 2026-11. Needs python3 and PyPI (torch's packages, some gigabytes); everything is in a temporary folder.
#
# A model in eval mode is a function of what it is given. With alibi_pos_bias it is not: the table of distances of the
# longest call so far is kept, and a shorter call takes its upper left corner. That is right as long as there are as
# many queries as keys. With memories there are more keys, and the distances belong at the lower right: the second
# segment of a text has other logits after a longer text went through the model than before, and right are the first.
#
# Output seen (the largest difference of the second segment's logits, before and after a call with the whole text):
#   1.19.0: above 0.01
#   1.27.20: below 1e-6
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
pip=("$dir/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==2.4.6 einops==0.8.1 packaging==26.4
seen=""
for version in 1.19.0 1.27.20; do
  "${pip[@]}" --no-deps --target "$dir/$version" "x-transformers==$version"
  line=$(PYTHONPATH=$dir/$version "$dir/venv/bin/python" -W ignore - "$version" <<'PY'
import sys
import torch
from x_transformers import Decoder, TransformerWrapper

torch.manual_seed(0)
layers = Decoder(dim=64, depth=2, heads=2, alibi_pos_bias=True)
model = TransformerWrapper(num_tokens=29, max_seq_len=24, max_mem_len=24, use_abs_pos_emb=False,
                           attn_layers=layers).eval()
text = torch.randint(29, (1, 11))
with torch.no_grad():
    _, mems = model(text[:, :5], return_mems=True)
    before = model(text[:, 5:], mems=mems)
    model(text)
    after = model(text[:, 5:], mems=mems)
change = float((before - after).abs().max())
print(f"{sys.argv[1]}:", "below 1e-6" if change < 1e-6 else "above 0.01" if change > 0.01 else change)
PY
)
  echo "$line"
  seen+="${line#*: };"
done
[ "$seen" = "above 0.01;below 1e-6;" ]
