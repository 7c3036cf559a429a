#!/usr/bin/env bash
# x-transformers 1.19.0 (which zetascale 2.8.8 contains, as zeta.structs.transformer), 1.27.20; torch 2.13.0.
# Measured 2026-11. Needs python3 and PyPI (torch's packages, some gigabytes); everything is in a temporary folder.
#
# attn_flash chooses PyTorch's scaled_dot_product_attention, and says nothing of other numbers. With attn_qk_norm,
# whose queries and keys have length 1 and whose scores are multiplied by 10, 1.19.0 divides by that scale where it
# means to multiply: scores come out times 1 / (10 dim_head), 1/640 for heads of 64. They differ by 1/320 at most, and
# attention is the plain mean of all values, whatever was learned. A checkpoint trained with one setting gives nonsense
# with the other, and no tensor tells which it was.
#
# Output seen (the largest difference of logits with and without attn_flash, same weights):
#   1.19.0, attn_qk_norm=False: below 1e-4
#   1.19.0, attn_qk_norm=True: above 0.1
#   1.27.20, attn_qk_norm=False: below 1e-4
#   1.27.20, attn_qk_norm=True: below 1e-4
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

for unit in (False, True):
    logits = []
    for flash in (False, True):
        torch.manual_seed(0)
        layers = Decoder(dim=64, depth=2, heads=2, attn_qk_norm=unit, attn_flash=flash)
        model = TransformerWrapper(num_tokens=29, max_seq_len=24, attn_layers=layers).eval()
        with torch.no_grad():
            logits.append(model(torch.arange(11)[None]))
    change = float((logits[0] - logits[1]).abs().max())
    said = "below 1e-4" if change < 1e-4 else "above 0.1" if change > 0.1 else change
    print(f"{sys.argv[1]}, attn_qk_norm={unit}: {said}")
PY
)
  echo "$lines"
  seen+=$(sed 's/.*: //' <<<"$lines" | tr '\n' ';')
done
[ "$seen" = "below 1e-4;above 0.1;below 1e-4;below 1e-4;" ]
