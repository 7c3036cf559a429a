#!/usr/bin/env bash
# transformers 5.23.0, torch 2.13.0, torchvision 0.28.0 (Python 3.11). Measured 2026-11.
#
# ColPaliProcessor.score_retrieval scores pages of any lengths against queries: for each row of a query the largest
# product with a row of the page, summed up. It pads the pages of a batch to the longest with rows of zeros, which take
# part: no maximum of a shorter page falls below 0. So a page's score depends on which pages are scored with it, and
# on batch_size.
#
# Output seen:
#   the page alone: -1.0
#   beside a page of two rows: 0.0
#   beside it, batch_size=1: -1.0
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 torch==2.13.0 \
  torchvision==0.28.0 pillow==13.0.0
"$dir/venv/bin/python" - <<'PY'
import torch
from transformers import ColPaliProcessor

query = torch.tensor([[1.0, 0.0]])
page = torch.tensor([[-1.0, 0.0]])  # one row, unlike the query
longer = torch.tensor([[0.0, 1.0], [0.0, -1.0]])


def score(pages, **how):
    return ColPaliProcessor.score_retrieval(None, [query], pages, **how)[0, 0].item()


alone, beside, apart = score([page]), score([page, longer]), score([page, longer], batch_size=1)
print("the page alone:", alone)
print("beside a page of two rows:", beside)
print("beside it, batch_size=1:", apart)
assert (alone, beside, apart) == (-1.0, 0.0, -1.0)
PY
