"""Trains models/recall: a Transformer that says twelve letters again, which its memories alone still hold.

  python3 -m venv venv
  venv/bin/pip install torch==2.13.0 numpy==2.4.6 einops==0.8.1 packaging==26.4
  venv/bin/pip install --no-deps x-transformers==1.19.0
  venv/bin/python tools/zeta/train_recall.py          # two minutes of one core; writes models/recall

A segment has twelve words. The first is twelve letters by chance, the second begins with "=": then the letters come
again, and each of them stands twelve words back, in the segment before (docs/zeta/pipeline.md). x-transformers 1.19.0
is zeta's code.
"""
import string
import sys
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from x_transformers import Decoder, TransformerWrapper

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/zeta"))
from export import export  # noqa: E402

LETTERS, SEGMENT, STEPS, BATCH = string.ascii_lowercase, 12, 3000, 64
ASKED = len(LETTERS)  # "="


def make_model():
    return TransformerWrapper(
        num_tokens=len(LETTERS) + 1, max_seq_len=SEGMENT, max_mem_len=SEGMENT,
        attn_layers=Decoder(dim=32, depth=2, heads=2, attn_dim_head=32, ff_mult=2, rel_pos_bias=True))


def letters(count):
    return torch.randint(0, len(LETTERS), (count, SEGMENT))


def second_segment(model, first):
    """Logits of "=" and eleven letters behind the first segment, or behind nothing."""
    asked = torch.cat((torch.full((len(first), 1), ASKED), first[:, :-1]), 1)
    _, mems = model(first, return_mems=True)
    return model(asked, mems=mems), model(asked)


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    model = make_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS)
    for step in range(STEPS):
        first = letters(BATCH)
        loss = F.cross_entropy(second_segment(model, first)[0].flatten(0, 1), first.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
        if (step + 1) % 300 == 0:
            print(f"step {step + 1}  loss {loss.item():.4f}", flush=True)

    for p in model.parameters():  # as they are kept
        p.data = p.data.bfloat16().float()
    first = letters(1000)
    with torch.no_grad():
        shares = [(logits.argmax(-1) == first).float().mean().item() for logits in second_segment(model, first)]
    print("letters said again, with memories {:.4f}, without {:.4f}".format(*shares))
    model.bfloat16()
    export(model, ROOT / "models/recall", vocabulary=[*LETTERS, "="])


main()
