#!/usr/bin/env bash
# x-transformers 1.19.0 (which zetascale 2.8.8 contains, as zeta.structs.transformer), 1.27.20; torch 2.13.0.
# Measured 2026-11. Needs python3 and PyPI (torch's packages, some gigabytes); everything is in a temporary folder.
#
# A Decoder is causal: what comes later cannot change the logits of what came before. With rotary_xpos it does. xPos
# counts positions from the middle of the sequence, which cancels out between a query and a key, but 1.19.0 turns and
# scales values as well, where nothing cancels it. So every second token that is appended moves the middle, and all
# logits with it: a cache of keys and values cannot repeat what the model computes, and a loss over whole texts is
# not what generating meets. Later versions leave values alone; there the difference is rounding.
#
# Output seen (the largest difference of the first 6 tokens' logits, alone and followed by 5 more):
#   1.19.0, rotary_pos_emb: below 1e-5
#   1.19.0, rotary_xpos: above 1e-3
#   1.27.20, rotary_pos_emb: below 1e-5
#   1.27.20, rotary_xpos: below 1e-5
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
pip=("$dir/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==2.4.6 einops==0.8.1 packaging==26.4
seen=""
for version in 1.19.0 1.27.20; do
  "${pip[@]}" --no-deps --target "$dir/$version" "x-transformers==$version"
  lines=$(PYTHONPATH=$dir/$version "$dir/venv/bin/python" -W ignore - "$version" <<'PY'
import sys
import torch
from x_transformers import Decoder, TransformerWrapper

for option in ("rotary_pos_emb", "rotary_xpos"):
    torch.manual_seed(0)
    layers = Decoder(dim=64, depth=2, heads=2, **{option: True})
    model = TransformerWrapper(num_tokens=29, max_seq_len=24, attn_layers=layers).eval()
    text = torch.randint(29, (1, 11))
    with torch.no_grad():
        change = float((model(text)[:, :6] - model(text[:, :6])).abs().max())
    said = "below 1e-5" if change < 1e-5 else "above 1e-3" if change > 1e-3 else change
    print(f"{sys.argv[1]}, {option}: {said}")
PY
)
  echo "$lines"
  seen+=$(sed 's/.*: //' <<<"$lines" | tr '\n' ';')
done
[ "$seen" = "below 1e-5;above 1e-3;below 1e-5;below 1e-5;" ]
